import MatrixModel
import Testing

@testable import fedchat

@Suite("What commands end with") struct ExitStatusTests {
    @Test(arguments: ["", "hello", "!room:a", "@alice:a"]) func `what is no identifier is a mistake of usage`(
        typed: String
    ) {
        let params: JSONValue = ["event": .string(typed)]
        let failure = #expect(throws: Failure.self) { try params.argument("event", "an event id", as: EventID.self) }
        #expect(failure?.status == 1)
        #expect(failure?.message == "not an event id")
    }

    @Test func `a message that somebody can read nowhere yet is partly sent`() {
        let answer: JSONValue = ["event_id": "$event"]
        #expect(Send.partialFailure(answer) == nil)
        let one = Send.partialFailure(["event_id": "$event", "unreached": ["@bob:b"]])
        #expect(one?.status == 8)
        #expect(one?.message.contains("@bob:b cannot read it yet") == true)
        let two = Send.partialFailure(["event_id": "$event", "unreached": ["@bob:b", "@carol:b"]])
        #expect(two?.message.contains("@bob:b and 1 more") == true)
    }
}
