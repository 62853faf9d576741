import HTTPMessages
import HTTPTypes
import MatrixModel

/// What clients ask that reads much: syncs of many rooms, pages of history, members of a large room, a search.
struct ReadingScenario {
    /// How often each question is asked; the median counts.
    private static let repeats = 7
    /// Rooms with news between two syncs.
    private static let roomsWithNews = 20

    private let server: Server
    private let world: World
    private let options: MeasureServers
    private var target: Target { server.target }

    init(_ server: Server, _ world: World, _ options: MeasureServers) {
        self.server = server
        self.world = world
        self.options = options
    }

    // MARK: Syncs

    /// A user in many rooms of somebody else's: the first sync, one without news, and one with news in some rooms.
    func syncs() async throws -> [Measurement] {
        var found: [Measurement] = []
        for count in Set([options.rooms, options.manyRooms]).sorted() {
            let (owner, rooms) = try await world.rooms(count)
            // A user who joined them all; a first sync is only once the first.
            let reader = try await target.register("\(world.run)reader\(count)")
            let target = target
            try await Concurrently.each(count, atOnce: BenchLimits.preparing) {
                try await target.join(rooms[$0], by: reader)
            }
            for (number, room) in rooms.prefix(count).enumerated() {
                try await target.send("hello", to: room, by: owner, transaction: "\(world.run)h\(count)-\(number)")
            }
            let name = "of \(count) rooms"
            let first = try await timed { try await target.sync(reader, since: nil, timeout: 0).next }
            found.append(Measurement("initial sync \(name), first", first.time, "ms", .less))
            found.append(
                try await median("initial sync \(name)") { try await target.sync(reader, since: nil, timeout: 0).next })
            let since = first.result
            found.append(
                try await median("sync without news \(name)") {
                    try await target.sync(reader, since: since, timeout: 0).next
                })
            var (next, times) = (since, [Double]())
            for turn in 0..<Self.repeats {
                for number in 0..<min(Self.roomsWithNews, count) {
                    let room = rooms[(turn * Self.roomsWithNews + number) % count]
                    try await target.send(
                        "news", to: room, by: owner, transaction: "\(world.run)n\(count)-\(turn)-\(number)")
                }
                let position = next
                let sync = try await timed { try await target.sync(reader, since: position, timeout: 0).next }
                next = sync.result
                times.append(sync.time)
            }
            found.append(
                Measurement("sync with news in \(Self.roomsWithNews) \(name)", Self.middle(times), "ms", .less))
        }
        return found
    }

    // MARK: One room

    /// A page of a hundred messages, at the end of history and far back.
    func pages() async throws -> [Measurement] {
        let reader = try await world.users(1)[0]
        let room = try await world.talkedIn(options.searched)
        let target = target
        let path = "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room))/messages?dir=b&limit=100"
        var found = [
            try await median("/messages?limit=100, newest") { try await target.call(.get, path, token: reader.token) }
        ]
        var from = ""
        for _ in 0..<max(1, min(options.searched / 200, 500)) {
            let page = try await target.call(.get, path + from, token: reader.token)
            guard let end = page["end"]?.string else { break }
            from = "&from=\(PercentEncoding.encode(end))"
        }
        let back = path + from
        found.append(
            try await median("/messages?limit=100, in the middle") {
                try await target.call(.get, back, token: reader.token)
            })
        return found
    }

    /// All members of a large room.
    func members() async throws -> [Measurement] {
        let reader = try await world.users(1)[0]
        let room = try await world.room(of: options.members)
        let target = target
        let path = "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room))/members"
        let first = try await timed { try await target.call(.get, path, token: reader.token) }
        guard first.result["chunk"]?.elements.count ?? 0 == options.members else {
            throw BenchFailure("\(first.result["chunk"]?.elements.count ?? 0) of \(options.members) members were told")
        }
        return [
            Measurement("/members of \(options.members), first", first.time, "ms", .less),
            try await median("/members of \(options.members)") {
                try await target.call(.get, path, token: reader.token)
            },
        ]
    }

    /// Words in many messages: one that is in few of them, one that is in many.
    func search() async throws -> [Measurement] {
        let reader = try await world.users(1)[0]
        let room = try await world.talkedIn(options.searched)
        var found: [Measurement] = []
        for (word, name) in [("needle7", "a rare word"), ("haystack", "a word in all")] {
            // An index may be behind what was sent: until it has the newest message, it is not asked for the time.
            try await waitUntilFound(word, in: room, by: reader)
            found.append(
                try await median("search in \(options.searched) messages, \(name)") {
                    try await ask(word, in: room, by: reader)
                })
        }
        return found
    }

    private func ask(_ word: String, in room: String, by user: Target.User) async throws -> JSONView {
        try await target.call(
            .post, "/_matrix/client/v3/search", token: user.token,
            [
                "search_categories": [
                    "room_events": [
                        "search_term": .string(word), "order_by": "recent",
                        "filter": ["rooms": [.string(room)], "limit": 10],
                    ]
                ]
            ])
    }

    private func waitUntilFound(_ word: String, in room: String, by user: Target.User) async throws {
        let deadline = ContinuousClock.now + BenchLimits.indexing
        while true {
            let answer = try await ask(word, in: room, by: user)
            let results = answer["search_categories"]?["room_events"]?["results"]?.elements ?? []
            if results.contains(where: { $0["result"]?["content"]?["body"]?.string?.hasSuffix("last") ?? false }) {
                return
            }
            guard ContinuousClock.now < deadline else { throw BenchFailure("\(word) is not found") }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    // MARK: Times

    private func timed<Result: Sendable>(_ work: () async throws -> Result) async throws -> (
        time: Double, result: Result
    ) {
        let start = ContinuousClock.now
        let result = try await work()
        return ((ContinuousClock.now - start) / .milliseconds(1), result)
    }

    private func median(_ name: String, _ work: () async throws -> some Sendable) async throws -> Measurement {
        var times: [Double] = []
        for _ in 0..<Self.repeats { times.append(try await timed(work).time) }
        return Measurement(name, Self.middle(times), "ms", .less)
    }

    private static func middle(_ times: [Double]) -> Double {
        let sorted = times.sorted()
        return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }
}
