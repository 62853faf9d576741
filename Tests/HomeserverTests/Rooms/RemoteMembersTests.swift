import Foundation
import HTTPTypes
import Homeserver
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Synchronization
import Testing

@Suite("Users of other servers, and rooms elsewhere") struct RemoteMembersTests {
    let alice = RoomFixture.alice
    let bob = RoomFixture.bob
    let carol = RoomFixture.carol

    /// Another server that signs invites, and knows one room.
    final class Elsewhere: InviteSending, RemoteJoining {
        struct Notes {
            var invites: [(PDU, [EventType])] = []
            var asked: [[ServerName]] = []
            var left: [RoomID] = []
        }

        let notes = Mutex(Notes())

        func sendInvite(_ event: PDU, state: [PDU]) async throws(MatrixError) -> PDU {
            notes.withLock { $0.invites.append((event, state.map(\.type))) }
            do {
                let foreign = try ForeignServer("elsewhere")
                return try event.signed(by: foreign.name, keyID: "ed25519:b", key: foreign.key)
            } catch {
                throw MatrixError.unknown
            }
        }

        func join(
            _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
        ) async throws(MatrixError) -> RoomID {
            notes.withLock { $0.asked.append(servers) }
            return room
        }

        func leave(
            _ room: RoomID, as user: UserID, content: JSONValue, invite: ReceivedInvite
        ) async throws(MatrixError) {
            notes.withLock { $0.left.append(room) }
            throw MatrixError(.unknown, "down")
        }

        func knock(
            _ room: RoomID, as user: UserID, content: JSONValue, via servers: [ServerName]
        ) async throws(MatrixError) -> RoomID { room }

        func resolve(_ alias: RoomAlias) async throws(MatrixError) -> (room: RoomID, servers: [ServerName]) {
            do {
                return (try RoomID("!far:elsewhere"), [try ServerName("helper")])
            } catch {
                throw MatrixError.unknown
            }
        }
    }

    private func invite(_ server: RoomFixture, _ room: RoomID) async throws -> ReceivedInvite {
        let invite = ReceivedInvite(
            user: bob, roomID: room, version: .v12, sender: carol, membership: .invite,
            eventID: try EventID("$invite"), event: Array("{}".utf8), strippedState: Array("[]".utf8))
        try await server.environment.database.write { connection in
            try RoomStore(connection).saveInvite(invite, sealer: server.environment.sealer)
        }
        return invite
    }

    @Test func `an invite to another server's user is signed there and then appended`() async throws {
        let server = try await RoomFixture()
        let elsewhere = Elsewhere()
        let clients = RoomClients(server, RoomCollaborators(remoteJoining: elsewhere, inviteSending: elsewhere))
        let room = try await clients.room(alice, ["invite": [.string(carol.text)], "name": "Tea"])

        let membership = try await server.reader.membership(of: carol, in: room)
        #expect(membership?.membership == .invite)
        let record = try #require(try await server.reader.record(room))
        let stored = try #require(try await server.reader.stateEvent(record, .member, carol.text))
        #expect(stored.pdu.signatures?["elsewhere"] != nil && stored.pdu.signatures?["test"] != nil)
        let types = elsewhere.notes.withLock { $0.invites.first?.1 ?? [] }
        #expect(Set(types).isSuperset(of: [.create, .joinRules, .name, .member]))
    }

    @Test func `without federation nobody else is invited`() async throws {
        let clients = RoomClients(try await RoomFixture())
        let room = try await clients.room(alice)
        let answer = try await clients.call(
            alice, .post, "rooms/\(RoomClients.path(room.text))/invite", ["user_id": .string(carol.text)])
        #expect(answer.status == 403)
    }

    @Test func `the join to a room elsewhere asks those named, the inviter's and the room's server`() async throws {
        let server = try await RoomFixture()
        let elsewhere = Elsewhere()
        let clients = RoomClients(server, RoomCollaborators(remoteJoining: elsewhere))
        _ = try await invite(server, try RoomID("!far:third"))
        let direct = try await clients.call(
            bob, .post, "join/\(RoomClients.path("!far:third"))?via=first&via=bad%20name")
        #expect(direct["room_id"] == "!far:third")
        let alias = try await clients.call(bob, .post, "join/\(RoomClients.path("#far:elsewhere"))")
        #expect(alias["room_id"] == "!far:elsewhere")
        let asked = elsewhere.notes.withLock { $0.asked.map { $0.map(\.text) } }
        #expect(asked == [["first", "elsewhere", "third"], ["helper", "elsewhere"]])
    }

    @Test func `an invite is kept, replaced, and declined even if the other server is down`() async throws {
        let server = try await RoomFixture()
        let elsewhere = Elsewhere()
        let clients = RoomClients(server, RoomCollaborators(remoteJoining: elsewhere))
        let room = try RoomID("!far:elsewhere")
        _ = try await invite(server, room)
        let kept = try await invite(server, room)
        let (database, sealer) = (server.environment.database, server.environment.sealer)
        let invites = try await database.read { try RoomStore($0).invites(of: bob, sealer: sealer) }
        let step = StreamPositions.eventStep
        #expect(invites.count == 1 && invites.first?.event == kept.event && invites.first?.position == 2 * step)

        #expect(try await clients.call(bob, .post, "rooms/\(RoomClients.path(room.text))/leave").status == 200)
        #expect(elsewhere.notes.withLock { $0.left } == [room])
        let rest = try await database.read { try RoomStore($0).invites(of: bob, sealer: sealer).count }
        #expect(rest == 0)
        let gone = try await database.read {
            try RoomStore($0).invitesWithdrawn(of: bob, after: 2 * step, upTo: 3 * step)
        }
        #expect(gone == [room])
    }

    @Test func `a room is as it was after a restart`() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "rooms-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func open() async throws -> any Database {
            try await SQLiteDatabase.open(SQLiteConfiguration(.file(folder.appendingPathComponent("d").path)))
        }
        let first = try await open()
        let before = try await RoomFixture(database: first)
        let room = try await before.room()
        let last = try await before.message("before", room.id)
        await first.close()

        let second = try await open()
        let after = try await RoomFixture(database: second)
        let next = try await after.message("after", room.id)
        #expect(next.pdu.prevEvents == [last.id] && next.position == 7 * StreamPositions.eventStep)
        #expect(next.nid > last.nid)
        await second.close()
    }

    @Test func `appends are notified with the room and the users they concern`() async throws {
        let server = try await RoomFixture()
        let room = try await server.room()
        let notifications = server.environment.database.notifications()
        try await server.join(bob, room.id)
        let message = try await server.message("hi", room.id)
        _ = try await server.writer.send(
            EventDraft(type: .redaction, sender: alice, content: [:], roomID: room.id, redacts: message.id))
        var heard: [String] = []
        for await notification in notifications where heard.count < 4 {
            heard.append(notification)
            if heard.count == 4 { break }
        }
        let step = StreamPositions.eventStep
        #expect(
            Set(heard) == [
                "events \(6 * step) \(room.nid) \(bob.text)", "events \(7 * step) \(room.nid)",
                "events \(8 * step) \(room.nid)",
                "redacted \(message.nid)",
            ])
    }
}
