internal import HTTPMessages
internal import HTTPTypes
internal import MatrixModel
internal import Synchronization

/// A client that keeps up with its user's rooms by `/sync`, from token to token, over broken connections and crashes, and pages
/// through what timelines leave out.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#syncing>
final class SyncingClient: Sendable {
    /// How a client asks; by chance.
    private struct Manner: Sendable {
        /// How the state after timelines is asked for; nil for a client that wants that before them.
        var stateAfter: (query: String, key: String)?
        /// Events of a timeline.
        var timeline: Int
        /// Events of a page.
        var page: Int
        /// Whether pages end where the client stood, by `to`.
        var namesEnd: Bool
        /// Milliseconds between an answer and the next question.
        var pause: ClosedRange<Int>
    }

    private struct State {
        var since: String?
        var rooms: [RoomID: ToldRoom] = [:]
        var isOver = false
    }

    /// How many of a thousand users have such a client.
    private static let share = 500
    /// Pages of one gap before the next sync.
    private static let pagesAtOnce = 20
    /// Syncs to the end of what is new.
    private static let lastSyncs = 20

    let user: SimulatedUser
    private let world: World
    private let chance: Chance
    private let manner: Manner
    private let state = Mutex(State())
    private let ended = Reply<Void>()

    init(of user: SimulatedUser, in world: World, chance: Chance) {
        self.user = user
        self.world = world
        self.chance = chance
        let names = [nil, nil, "", "org.matrix.msc4222."] as [String?]
        manner = Manner(
            stateAfter: chance.pick(names)?.map { ("\($0)use_state_after", "\($0)state_after") },
            timeline: chance.within(1...12), page: chance.within(3...40), namesEnd: chance.happens(300),
            pause: chance.happens(300) ? 0...2_000 : 2_000...25_000)
    }

    /// Clients of some of the users. Theirs is a chance of their own: what else happens is planned as it would be without them.
    static func some(of users: [SimulatedUser], in world: World) -> [SyncingClient] {
        guard world.plan.syncs else { return [] }
        let chance = Chance(seed: world.plan.seed ^ 0x7379_6e63)
        return users.compactMap { user in
            let own = chance.fork()
            return own.happens(share) ? SyncingClient(of: user, in: world, chance: own) : nil
        }
    }

    /// What it knows of the rooms that its user is in.
    var rooms: [RoomID: ToldRoom] { state.withLock { $0.rooms } }

    /// Follows until it is stopped.
    func run() async {
        await world.sleep(chance.milliseconds(0...30_000))
        while !state.withLock({ $0.isOver }) {
            let isAnswered = await sync(timeout: chance.happens(300) ? 0 : chance.within(500...30_000)) != nil
            await world.sleep(chance.milliseconds(isAnswered ? manner.pause : 200...5_000))
        }
        ended.give(())
    }

    /// Lets it end after its next answer.
    func stop() { state.withLock { $0.isOver = true } }

    /// Stops it, and has it learn what is left.
    /// - Returns: whether it came to the end of what is new.
    func finish() async -> Bool {
        stop()
        _ = await ended.wait()
        for _ in 0..<Self.lastSyncs {
            switch await sync(timeout: 0) {
            case false? where state.withLock { $0.rooms.values.allSatisfy(\.gaps.isEmpty) }: return true
            case nil: await world.sleep(chance.milliseconds(200...5_000))
            default: break
            }
        }
        world.records.find("\(user.user): the syncs do not come to an end")
        return false
    }

    /// Syncs once.
    /// - Returns: whether rooms had news; nil when there was no answer.
    private func sync(timeout: Int) async -> Bool? {
        let since = state.withLock { $0.since }
        var path = "/_matrix/client/v3/sync?timeout=\(timeout)&set_presence=offline"
        if let since { path += "&since=\(since)" }
        if let name = manner.stateAfter?.query { path += "&\(name)=true" }
        let filter: JSONValue = ["room": ["timeline": ["limit": .integer(Int64(manner.timeline))]]]
        path += "&filter=\(PercentEncoding.encode(String(decoding: filter.serialized(), as: UTF8.self)))"
        world.records.count { $0.syncs += 1 }
        guard let answer = await user.askOnce(.get, path), ![500, 502, 503, 504].contains(answer.status) else {
            return nil
        }
        // The connection breaks before it is read.
        if world.plan.hasFaults, chance.happens(40) { return nil }
        guard answer.isGood, let next = answer.body["next_batch"]?.string else {
            world.records.find("\(user.server.name) answered \(answer.status) to a sync of \(user.user)")
            return nil
        }
        let hasNews = take(answer.body["rooms"] ?? [:], since: since)
        state.withLock { $0.since = next }
        for room in state.withLock({ $0.rooms.keys.sorted() }) { await fill(room) }
        return hasNews
    }

    private func take(_ answer: JSONValue, since: String?) -> Bool {
        let (left, joined) = (answer["leave"]?.members ?? [], answer["join"]?.members ?? [])
        // Who was put out and is invited again, or knocks, is told of that alone.
        let outside = (answer["invite"]?.members ?? []) + (answer["knock"]?.members ?? [])
        let found = state.withLock { state in
            var found: [(String, EventID)] = []
            for (name, _) in outside { if let room = try? RoomID(name) { state.rooms[room] = nil } }
            for (isJoined, sections) in [(false, left), (true, joined)] {
                for (name, section) in sections {
                    guard let room = try? RoomID(name) else { continue }
                    var told = state.rooms[room] ?? ToldRoom(user: user.user, hasStateAfter: manner.stateAfter != nil)
                    told.take(
                        timeline: section["timeline"],
                        state: section[manner.stateAfter?.key ?? "state"]?["events"]?.elements ?? [], since: since)
                    found += told.takeRepeated().map { (name, $0) }
                    note(section, of: name, isJoined)
                    state.rooms[room] = isJoined ? told : nil
                }
            }
            return found
        }
        for (room, event) in found { world.records.find("\(room): \(user.user) is told \(event) twice") }
        return !left.isEmpty || !joined.isEmpty || !outside.isEmpty
    }

    /// What was told of a room, for who reads a trace.
    private func note(_ section: JSONValue, of room: String, _ isJoined: Bool) {
        let told = [section["timeline"], section[manner.stateAfter?.key ?? "state"]].map { part in
            (part?["events"]?.elements ?? []).map { $0["event_id"]?.string?.prefix(8) ?? "" }.joined(separator: " ")
        }
        let isLimited = section["timeline"]?["limited"]?.bool == true
        world.trace.note(
            "\(user.user) told of \(isJoined ? "" : "leaving ")\(room)\(isLimited ? " limited" : ""): \(told[0]); \(told[1])"
        )
    }

    /// Pages through what timelines of a room left out, the newest first.
    private func fill(_ room: RoomID) async {
        for _ in 0..<Self.pagesAtOnce {
            guard let gap = state.withLock({ $0.rooms[room]?.gaps.last }) else { return }
            var path = "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room.text))/messages?dir=b"
            path += "&limit=\(manner.page)&from=\(PercentEncoding.encode(gap.from))"
            if manner.namesEnd, let since = gap.since { path += "&to=\(PercentEncoding.encode(since))" }
            // The user may have been put out meanwhile; the next sync tells, or that the user is back.
            guard let answer = await user.ask(.get, path), answer.isGood else { return }
            state.withLock {
                $0.rooms[room]?.fill(answer.body["chunk"]?.elements ?? [], end: answer.body["end"]?.string)
            }
        }
    }
}
