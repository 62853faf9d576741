import HTTPTypes
import MatrixModel
import Testing

@Suite("Messages to devices") struct ToDeviceTests {
    @Test func `a message for * reaches every device, once for each transaction`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        _ = try await bob.logIn(at: "SECOND")
        let body: JSONValue = ["messages": .object([bob.id.text: ["*": ["body": "hello"]]])]

        for _ in 0..<2 { #expect(try await alice.call(.put, "sendToDevice/m.test/1", body).status == 200) }

        let expected: JSONValue = ["type": "m.test", "sender": .string(alice.id.text), "content": ["body": "hello"]]
        #expect(try await server.messages(bob) == [expected])
        #expect(try await server.messages(bob, device: "SECOND") == [expected])
    }

    @Test func `messages come in order, and those for devices that are not there are dropped`() async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")
        let bob = try await server.register("bob")
        for number in 1...3 {
            _ = try await alice.call(
                .put, "sendToDevice/m.test/\(number)",
                [
                    "messages": .object([
                        bob.id.text: ["DEVICE": ["n": .integer(Int64(number))], "NONE": [:]],
                        "@nobody:a.test:443": ["X": [:]],
                    ])
                ])
        }

        #expect(try await server.messages(bob).map { $0["content"]?["n"]?.integer } == [1, 2, 3])
    }

    @Test(
        arguments: [
            [:], ["messages": []], ["messages": ["nobody": [:]]], ["messages": ["@bob:a.test:443": ["D": 1]]],
            ["messages": ["@bob:a.test:443": 1]],
        ] as [JSONValue])
    func `malformed messages are refused`(body: JSONValue) async throws {
        let server = try await DeviceServer()
        let alice = try await server.register("alice")

        #expect(try await alice.call(.put, "sendToDevice/m.test/1", body).status == 400)
    }

    @Test func `messages to another server arrive once, in pieces that it takes`() async throws {
        let wire = Wire()
        let here = try await DeviceServer("a.test:443", wire: wire)
        let there = try await DeviceServer("b.test:443", wire: wire)
        let alice = try await here.register("alice")
        let bob = try await there.register("bob")
        var devices: [String: JSONValue] = [:]
        for number in 0..<10 {
            _ = try await bob.logIn(at: "D\(number)")
            devices["D\(number)"] = ["text": .string(String(repeating: "x", count: 20_000))]
        }
        _ = try await alice.call(
            .put, "sendToDevice/m.test/1", ["messages": .object([bob.id.text: .object(devices)])])

        let edus = try await here.takeEDUs(for: there.name)
        #expect(edus.count == 5)
        #expect(edus.allSatisfy { $0.serialized().count < 65_536 })
        try await here.send(edus, to: there)
        try await here.send(edus, to: there)

        for number in 0..<10 { #expect(try await there.messages(bob, device: "D\(number)").count == 1) }
    }
}
