import HomeserverStorage
import MatrixModel
import MatrixRooms
import Testing

@testable import Simulation

/// What counts as a difference between servers, and what does not.
@Suite("Agreement about a room") struct RoomAgreementTests {
    private let pdu: PDU
    private let names: [ServerName]

    init() throws {
        pdu = try Self.pdu(5, after: "$p")
        names = try ["a.test", "b.test", "c.test"].map { try ServerName($0) }
    }

    private static func pdu(_ depth: Int, after prev: String) throws -> PDU {
        try PDU(
            parsing: JSONDocument(
                Array(
                    #"""
                    {"type":"m.room.message","sender":"@a0:a.test","room_id":"!r:a.test","content":{"body":"x"},
                    "depth":\#(depth),"prev_events":["\#(prev)"],"auth_events":[],"origin_server_ts":1,
                    "hashes":{"sha256":"x"},"signatures":{}}
                    """#.utf8)
            ).root, version: .v11)
    }

    /// Views of three servers: the first has the event as its newest, the others have it with flags, or not at all.
    private func views(_ flags: [EventFlags?]) -> [ServerView] {
        zip(names, [EventFlags()] + flags).map { name, flags in
            let events = flags.map { flags in
                [
                    pdu.id: StoredEvent(
                        nid: 1, pdu: pdu, roomNID: 1, position: flags.isEmpty ? 1 : nil, flags: flags, stateAfter: nil,
                        replaces: nil)
                ]
            }
            return ServerView(
                server: name, version: .v11, state: [:], extremities: flags == [] ? [pdu.id] : [],
                events: events ?? [:], stateAfter: [:], joined: [])
        }
    }

    @Test func `what a mute server ends in need not be known where another withheld it`() {
        let mute = Set(names.prefix(1))
        let withheld = views([.softFailed, nil])
        #expect(RoomAgreement(views: withheld, mute: mute).differences() == [])
        // Who may speak would have tied it in.
        #expect(RoomAgreement(views: withheld, mute: []).differences().count == 2)
        // Nobody withheld it: it is lost to the others.
        #expect(RoomAgreement(views: views([nil, nil]), mute: mute).differences().count == 2)
        #expect(RoomAgreement(views: views([.rejected, nil]), mute: mute).differences().count == 2)
        // Nor does anything lead to what a hostile server told that one alone.
        let hostile = Set([pdu.sender.serverName])
        #expect(RoomAgreement(views: views([nil, nil]), mute: mute, hostile: hostile).differences() == [])
        #expect(RoomAgreement(views: views([nil, nil]), mute: [], hostile: hostile).differences().count == 2)
        // Nor is it had by who has it as part of an auth chain.
        #expect(RoomAgreement(views: views([.outlier, nil]), mute: mute, hostile: hostile).differences() == [])
        #expect(RoomAgreement(views: views([.outlier, nil]), mute: mute).differences().count == 2)
        #expect(RoomAgreement(views: views([EventFlags(), EventFlags()]), mute: mute).differences() == [])
    }

    @Test func `a mute server ends where it withheld what another went on with`() throws {
        let next = try Self.pdu(6, after: pdu.id.text)
        func view(_ name: ServerName, _ flags: EventFlags, endsIn end: PDU) -> ServerView {
            let events = [(pdu, EventFlags()), (next, flags)].map { pdu, flags in
                StoredEvent(
                    nid: 1, pdu: pdu, roomNID: 1, position: 1, flags: flags, stateAfter: nil, replaces: nil)
            }
            return ServerView(
                server: name, version: .v11, state: [:], extremities: [end.id],
                events: Dictionary(uniqueKeysWithValues: events.map { ($0.id, $0) }), stateAfter: [:], joined: [])
        }
        let views = [view(names[0], .softFailed, endsIn: pdu), view(names[1], EventFlags(), endsIn: next)]
        #expect(RoomAgreement(views: views, mute: Set(names)).differences() == [])
        #expect(RoomAgreement(views: views, mute: []).differences().count == 1)
    }

    @Test func `states that differ are told apart`() throws {
        let (key, id) = (StateKey(.topic, ""), pdu.id)
        func views(_ topics: [EventID?], _ events: [EventID: StoredEvent] = [:]) -> [ServerView] {
            zip(names, topics).map { name, topic in
                ServerView(
                    server: name, version: .v11, state: topic.map { [key: $0] } ?? [:], extremities: [],
                    events: topic == nil ? [:] : events, stateAfter: [:], joined: [])
            }
        }
        #expect(RoomAgreement(views: views([id, nil, id]), mute: Set(names)).differences().count == 1)
        #expect(RoomAgreement(views: views([id, nil, id]), mute: [], twofold: [id]).differences() == [])
        // What a hostile server set at one alone, of which nobody may speak.
        let event = StoredEvent(
            nid: 1, pdu: pdu, roomNID: 1, position: 1, flags: EventFlags(), stateAfter: nil, replaces: nil)
        let (told, hostile) = (views([id, nil, nil], [id: event]), Set([pdu.sender.serverName]))
        #expect(RoomAgreement(views: told, mute: Set(names.prefix(1)), hostile: hostile).differences() == [])
        #expect(RoomAgreement(views: told, mute: [], hostile: hostile).differences().count == 2)
    }

    @Test(arguments: [RoomVersion.v1, .v2, .v11])
    func `only in version 1, and by all others, may a server be taken out without a word`(version: RoomVersion) throws {
        let join = try PDU(
            parsing: JSONDocument(
                Array(
                    #"""
                    {"type":"m.room.member","sender":"@a0:a.test","state_key":"@a0:a.test","room_id":"!r:a.test","depth":1,
                    "content":{"membership":"join"},"prev_events":["$p"],"auth_events":[],"origin_server_ts":1,
                    "hashes":{"sha256":"x"},"signatures":{}}
                    """#.utf8)
            ).root, version: .v11)
        let event = StoredEvent(
            nid: 1, pdu: join, roomNID: 1, position: 1, flags: EventFlags(), stateAfter: nil, replaces: nil)
        func views(_ knowing: Set<Int>) -> [ServerView] {
            names.enumerated().map { number, name in
                ServerView(
                    server: name, version: version,
                    state: knowing.contains(number) ? [StateKey(.member, "@a0:a.test"): join.id] : [:], extremities: [],
                    events: [join.id: event], stateAfter: [:], joined: [])
            }
        }
        let cases: [(Set<Int>, Bool)] = [([0], version == .v1), ([0, 2], false), ([0, 1, 2], false)]
        for (knowing, isOut) in cases {
            let all = views(knowing)
            #expect(all[0].wasTakenOut(by: all) == isOut)
            #expect(!all[0].wasTakenOut(by: [all[0]]))
        }
    }
}
