import MatrixModel
import Testing

@testable import FedchatKit

@Suite("What homeservers say, and leave out") struct AnswerReadingTests {
    private func age(_ event: JSONValue) throws -> Int64? {
        try JSONDocument(event.serialized()).root.age(at: 1_000_000)
    }

    @Test func `an event without an age is as old as the clocks say`() throws {
        #expect(try age(["origin_server_ts": 999_000, "unsigned": ["age": 5]]) == 5)
        #expect(try age(["origin_server_ts": 999_000]) == 1_000)
        #expect(try age(["origin_server_ts": 999_000, "unsigned": ["age": -7]]) == 0)
        #expect(try age(["origin_server_ts": -1]) == nil)
        #expect(try age(["unsigned": [:]]) == nil)
    }

    @Test func `what stands before a homeserver refuses nothing for good`() {
        let portal = HomeserverConnection.refusal(403, Array("<html>Log in first</html>".utf8))
        #expect(!portal.isLasting)
        let refused = HomeserverConnection.refusal(403, Array(#"{"errcode":"M_FORBIDDEN","error":"no"}"#.utf8))
        #expect(refused.isLasting)
    }
}
