import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Event graph and room state") struct GraphTests {
    private func ids(_ names: String...) throws -> Set<EventID> { Set(try names.map { try EventID("$" + $0) }) }

    @Test func `the auth difference is what is not in all chains`() throws {
        #expect(authDifference(of: []).isEmpty)
        #expect(authDifference(of: [try ids("a", "b")]).isEmpty)
        #expect(
            try authDifference(of: [ids("a", "b", "c"), ids("b", "c", "d"), ids("b", "e")]) == ids("a", "c", "d", "e"))
    }

    @Test func `an auth chain reaches back to the start`() throws {
        var room = TestRoom(.v11)
        room.join(.bob)
        let message = room.send(.message, by: .bob)
        let chain = try room.fullAuthChain(of: [message.id])
        #expect(chain.contains(room.create.id))
        #expect(chain.contains(message.id))
        #expect(chain.isSuperset(of: message.authEvents))
    }

    @Test func `keys that Swift takes for equal are two`() {
        let composed = StateKey(.member, "@caf\u{E9}:two.test")
        let decomposed = StateKey(.member, "@cafe\u{301}:two.test")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }

    @Test func `state keeps the newest of each place`() {
        var room = TestRoom(.v12)
        room.send(.topic, by: .alice, stateKey: "", ["topic": "a"])
        let topic = room.send(.topic, by: .alice, stateKey: "", ["topic": "b"])
        let state = RoomState(room.order.compactMap { room.events[$0] })
        #expect(state.event(.topic, "")?.id == topic.id)
        #expect(state.map == room.state.map)
        #expect(state.membership(of: .alice) == .join)
        #expect(state.membership(of: .bob) == .leave)
    }
}
