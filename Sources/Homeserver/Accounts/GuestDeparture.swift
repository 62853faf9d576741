internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// Takes guests out of rooms that do not let them in any more: at once when `m.room.guest_access` changes, and now and then
/// in all rooms, for what a notification did not tell. Ends guests who have not been seen for long. Several nodes may do it at
/// the same time: who has left is left alone.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#guest-access>
final class GuestDeparture: Sendable {
    /// Between two looks at all rooms.
    private static let interval = Duration.seconds(600)

    /// Guests that are ended at once.
    private static let endedAtOnce = 100

    private let memberships: MembershipEditing
    private let ending: AccountEnding
    private let waiting = Mutex<Set<Int64>>([])
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation

    private var environment: Environment { memberships.writer.environment }

    init(memberships: MembershipEditing, ending: AccountEnding) {
        self.memberships = memberships
        self.ending = ending
        (wakes, wake) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes in a notification of the database: `guest_access` and a `room_nid`.
    func received(_ notification: String) {
        guard let room = notification.split(separator: " ").last.flatMap({ Int64($0) }) else { return }
        waiting.withLock { _ = $0.insert(room) }
        wake.yield()
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { [self] in
                await environment.clock.every(Self.interval) {
                    await lookEverywhere()
                    await endUnseen()
                }
                wake.finish()
            }
            for await _ in wakes { await removeWaiting() }
        }
    }

    /// Looks at the rooms that notifications named.
    func removeWaiting() async {
        let rooms = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for room in rooms.sorted() { await remove(from: room) }
    }

    private func lookEverywhere() async {
        let rooms = (try? await environment.database.read { try GuestStore($0).rooms() }) ?? []
        for room in rooms where !Task.isCancelled { await remove(from: room) }
    }

    /// Ends the accounts of guests who have not been seen for long.
    func endUnseen() async {
        let time = environment.clock.now() - environment.configuration.timeouts.guestsKept
        do {
            let guests = try await environment.database.read { connection in
                try GuestStore(connection).unseen(since: time, limit: Self.endedAtOnce)
            }
            for guest in guests where !Task.isCancelled { try await ending.deactivate(guest, erase: true) }
        } catch {
            environment.logger.info("guests could not be ended", metadata: ["cause": "\(error)"])
        }
    }

    private func remove(from room: Int64) async {
        do {
            let found = try await environment.database.read { connection in
                try (RoomStore(connection).room(nid: room), GuestStore(connection).guests(in: room))
            }
            guard let record = found.0, !found.1.isEmpty else { return }
            let event = try await memberships.writer.reader.stateEvent(record, .guestAccess)
            guard GuestAccess(event?.pdu) != .canJoin else { return }
            for guest in found.1 { try await memberships.leave(record.id, as: guest) }
        } catch {
            environment.logger.info(
                "guests could not leave a room", metadata: ["room": "\(room)", "cause": "\(error)"])
        }
    }
}
