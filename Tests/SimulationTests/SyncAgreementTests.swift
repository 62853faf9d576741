import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

@testable import Simulation

/// What a client that syncs must have been told, and what it need not.
@Suite("Agreement of syncs") struct SyncAgreementTests {
    /// A room as a server has it: a name, two topics in parallel, and a message, each with the place that a test gives it.
    private static let first: Int64 = 1 << 16
    private let server: ServerName
    private let user: UserID

    init() throws {
        server = try ServerName("a.test")
        user = try UserID("@a0:a.test")
    }

    private static func pdu(_ number: Int, _ type: String, key: String?, prev: [String]) throws -> PDU {
        let list = prev.map { "\"\($0)\"" }.joined(separator: ",")
        let state = key.map { "\"state_key\":\"\($0)\"," } ?? ""
        return try PDU(
            parsing: JSONDocument(
                Array(
                    """
                    {"type":"\(type)",\(state)"sender":"@a0:a.test","room_id":"!r:a.test","content":{"n":\(number)},
                    "depth":\(number),"prev_events":[\(list)],"auth_events":[],"origin_server_ts":1,
                    "hashes":{"sha256":"x"},"signatures":{}}
                    """.utf8)
            ).root, version: .v11)
    }

    private func view(
        _ events: [(PDU, position: Int64?, flags: EventFlags)], state: [StateKey: EventID] = [:]
    ) -> ServerView {
        let stored = events.enumerated().map { number, event in
            StoredEvent(
                nid: Int64(number), pdu: event.0, roomNID: 1, position: event.position, flags: event.flags,
                stateAfter: nil, replaces: nil)
        }
        return ServerView(
            server: server, version: .v11, state: state, extremities: [],
            events: Dictionary(uniqueKeysWithValues: stored.map { ($0.id, $0) }), stateAfter: [:], joined: [user])
    }

    private static func entry(_ pdu: PDU) -> JSONValue { ClientEvent.value(of: pdu, withRoomID: false) }

    private static func timeline(_ events: [PDU], limitedFrom start: String? = nil) -> JSONValue {
        [
            "events": .array(events.map(entry)), "limited": .bool(start != nil),
            "prev_batch": .string(start ?? "before"),
        ]
    }

    private func differences(_ told: ToldRoom, _ view: ServerView, forbidden: [EventID: String] = [:]) -> [String] {
        SyncAgreement(told: told, view: view, forbidden: forbidden).differences()
    }

    @Test func `what came behind the beginning must be told, also in a gap`() throws {
        let events = try (1...4).map { try Self.pdu($0, "m.room.message", key: nil, prev: []) }
        let view = view(events.enumerated().map { ($1, Self.first * Int64($0 + 1), []) })
        var told = ToldRoom(user: user, hasStateAfter: true)
        told.take(timeline: Self.timeline([events[0]]), state: [], since: nil)
        told.take(timeline: Self.timeline([events[3]], limitedFrom: "p"), state: [], since: "s")
        #expect(told.gaps == [ToldRoom.Gap(from: "p", since: "s")])
        #expect(differences(told, view).count == 2)
        told.fill([Self.entry(events[2])], end: "q")
        #expect(differences(told, view).count == 1)
        told.fill([Self.entry(events[1]), Self.entry(events[0])], end: "r")
        #expect(told.gaps == [])
        #expect(differences(told, view) == [])
        #expect(told.takeRepeated() == [])
        told.take(timeline: Self.timeline([events[1]]), state: [], since: "s2")
        #expect(told.takeRepeated() == [events[1].id])
    }

    @Test func `what a server fetched later into its own gap need not be told`() throws {
        let events = try (1...3).map { try Self.pdu($0, "m.room.message", key: nil, prev: []) }
        let view = view([(events[0], Self.first, []), (events[1], Self.first * 2 - 1, []), (events[2], -1, [])])
        var told = ToldRoom(user: user, hasStateAfter: true)
        told.take(timeline: Self.timeline([events[0]]), state: [], since: nil)
        #expect(differences(told, view) == [])
    }

    @Test(arguments: [EventFlags.rejected, .softFailed]) func `what is withheld must not be told`(flag: EventFlags)
        throws
    {
        let event = try Self.pdu(1, "m.room.message", key: nil, prev: [])
        var told = ToldRoom(user: user, hasStateAfter: true)
        told.take(timeline: Self.timeline([event]), state: [], since: nil)
        #expect(differences(told, view([(event, nil, flag)])).count == 1)
        #expect(differences(told, view([])).count == 1)
        let shown = view([(event, Self.first, [])])
        #expect(differences(told, shown) == [])
        #expect(differences(told, shown, forbidden: [event.id: "forged"]).count == 1)
    }

    @Test func `the state told is the current one`() throws {
        let key = StateKey(.topic, "")
        let one = try Self.pdu(1, "m.room.topic", key: "", prev: [])
        let fork = try Self.pdu(2, "m.room.topic", key: "", prev: [])
        let next = try Self.pdu(3, "m.room.topic", key: "", prev: [one.id.text])
        let events = [one, fork, next].enumerated().map { ($1, Self.first * Int64($0 + 1), EventFlags()) }
        for hasStateAfter in [true, false] {
            var told = ToldRoom(user: user, hasStateAfter: hasStateAfter)
            told.take(timeline: Self.timeline([one]), state: [Self.entry(one)], since: nil)
            #expect(differences(told, view(events, state: [key: one.id])).count { $0.contains(", and has ") } == 0)
            // What stands last in a timeline is what its reader takes for the state, unless it is told apart.
            told.take(timeline: Self.timeline([next, fork]), state: [Self.entry(next)], since: "s")
            let last = hasStateAfter ? next : fork
            for current in [one, fork, next] {
                let found = differences(told, view(events, state: [key: current.id]))
                #expect(found.count == (current.id == last.id ? 0 : 1))
            }
            told.take(timeline: nil, state: [Self.entry(one)], since: "s")
            #expect(differences(told, view(events, state: [key: one.id])) == [])
            #expect(differences(told, view(events, state: [key: next.id])).count == 1)
            // That nothing holds the key any more cannot be told.
            #expect(differences(told, view(events)) == [])
        }
    }

    @Test func `what was told of an event is what the server has, or what it had before`() throws {
        let event = try Self.pdu(1, "m.room.message", key: nil, prev: [])
        func differences(_ told: PDU, _ pdu: PDU, by redaction: EventID? = nil, mended: Set<EventID> = []) -> [String] {
            let stored = StoredEvent(
                nid: 1, pdu: pdu, roomNID: 1, position: Self.first, flags: [], stateAfter: nil, replaces: nil,
                redactedBy: redaction)
            let view = ServerView(
                server: server, version: .v11, state: [:], extremities: [], events: [pdu.id: stored], stateAfter: [:],
                joined: [user])
            var room = ToldRoom(user: user, hasStateAfter: true)
            room.take(timeline: Self.timeline([told]), state: [], since: nil)
            return SyncAgreement(told: room, view: view, forbidden: [:], mended: mended).differences()
        }
        let redacted = try event.redacted()
        #expect(differences(event, event) == [])
        let redaction = try EventID("$r")
        #expect(differences(event, redacted, by: redaction) == [])
        #expect(differences(redacted, redacted, by: redaction) == [])
        // Nobody redacted it.
        #expect(differences(event, redacted).count == 1)
        #expect(differences(redacted, event).count == 1)
        // A whole copy came later.
        #expect(differences(redacted, event, mended: [event.id]) == [])
        var value = JSONValue(event.document.root)
        value["content"] = ["n": 7]
        let other = try PDU(trusted: value.serialized(), id: event.id, roomID: event.roomID, version: .v11)
        #expect(differences(other, event).count == 1)
        #expect(differences(other, event, mended: [event.id]).count == 1)
    }
}
