internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// The walk through all rooms and tables, once in `timeouts.retention_interval_ms`.
extension RetentionKeeper {
    /// Rooms looked at in a step.
    static let roomsPerStep = 100
    private static let day: Int64 = 86_400_000
    /// What clients and other servers may still ask about is kept so long, milliseconds.
    private static let toldKept = 30 * day
    /// Keys of servers that nobody asked for are kept so long, milliseconds.
    private static let keysKept = 90 * day
    /// Rooms that all have forgotten which are taken out after one walk.
    private static let abandonedPerPass = 100

    func isPassDue() async throws -> Bool {
        let last = try await environment.database.read { try PositionTimes($0).last() }
        let interval = environment.configuration.timeouts.retentionInterval
        return last.map { environment.clock.now() - $0 >= interval } ?? true
    }

    /// Looks through everything once.
    func pass(_ state: inout State) async throws {
        let now = environment.clock.now()
        let (database, server) = (environment.database, environment.serverName)
        try await database.write { try PositionTimes($0).note(now: now) }
        try await database.write { try Sweeps($0).expired(now: now) }
        let told = now - Self.toldKept
        let (events, lists) = try await database.read { connection in
            let times = PositionTimes(connection)
            return (
                try times.position(of: "events", before: told), try times.position(of: "device_lists", before: told)
            )
        }
        if let events { try await database.write { try Sweeps($0).withdrawnInvites(before: events) } }

        let isDaily = now - state.lastDaily >= Self.day
        let servers = try await rooms(now, leftBefore: events, gathersServers: isDaily, &state)
        let withheld = now - environment.configuration.timeouts.withheldKept
        try await steps(from: 0, &state) { try Sweeps($0).withheldMessages(sentBefore: withheld, after: $1) }
        if isDaily {
            let listsTold = lists ?? 0
            try await steps(from: "", &state) {
                try Sweeps($0).deviceLists(sharingWith: server, told: listsTold, after: $1)
            }
            try await steps(from: "", &state) { try Sweeps($0).deadDestinations(retriedBefore: told, after: $1) }
            let kept = servers.union([server.text])
            try await steps(from: "", &state) {
                try Sweeps($0).serverKeys(fetchedBefore: now - Self.keysKept, except: kept, after: $1)
            }
            state.lastDaily = now
        }
        try await deleteAbandoned(now)
        try await freeSpace(&state)
    }

    /// Does something from a beginning on until it says that there is no more.
    private func steps<Cursor: Sendable>(
        from beginning: Cursor, _ state: inout State,
        _ step: @escaping @Sendable (any SQLConnection, Cursor) throws -> Cursor?
    ) async throws {
        var next: Cursor? = beginning
        while let cursor = next {
            next = try await environment.database.write { try step($0, cursor) }
            if next != nil { try await pause(&state) }
        }
    }

    // MARK: Rooms

    /// Looks through all rooms. Returns the servers of their members, where these are asked for.
    private func rooms(
        _ now: Int64, leftBefore: Int64?, gathersServers: Bool, _ state: inout State
    ) async throws -> Set<String> {
        var servers: Set<String> = []
        var last: Int64 = 0
        let (database, server) = (environment.database, environment.serverName)
        while true {
            let after = last
            let (nids, found, policies) = try await database.read { connection in
                let sweeps = Sweeps(connection)
                let nids = try sweeps.rooms(after: after, limit: Self.roomsPerStep)
                let servers: Set<String> = gathersServers ? try sweeps.servers(ofRooms: nids) : []
                return (nids, servers, try bounded(nids, connection))
            }
            guard let end = nids.last else { return servers }
            last = end
            servers.formUnion(found)
            try await database.write { connection in
                try AbandonedRooms(connection).look(at: nids, server: server, now: now)
                if let leftBefore { try Sweeps(connection).receipts(ofRooms: nids, leftBefore: leftBefore) }
            }
            for (room, lifetime) in policies {
                let before = now - lifetime
                let upTo = try await database.read { try PositionTimes($0).position(of: "events", before: before) }
                do {
                    let removed = try await purge(
                        room, HistoryCut(before: before, upTo: upTo), fromBeginning: false, &state)
                    if removed > 0 {
                        environment.logger.info(
                            "old messages removed", metadata: ["room": "\(room.id)", "count": "\(removed)"])
                    }
                } catch let error where !(error is LeaseLost || error is CancellationError) {
                    note(error, of: room.nid)
                }
            }
            try await pause(&state)
        }
    }

    /// How long the messages of rooms are kept, in milliseconds: of those that have a bound.
    private func bounded(
        _ nids: [Int64], _ connection: any SQLConnection
    ) throws -> [(room: RoomRecord, lifetime: Int64)] {
        let key = StateKey(RetentionPolicy.eventType, "")
        let configuration = environment.configuration.retention
        // Where no room has ever said anything, none need be read.
        let isSaid = try !reader.states.numbers(of: [key], connection).isEmpty
        guard isSaid || configuration.defaultDays != nil else { return [] }
        var found: [(room: RoomRecord, lifetime: Int64)] = []
        for nid in nids {
            // Of a room that cannot be read nothing is taken out; the others do not wait for it.
            do {
                guard let room = try RoomStore(connection).room(nid: nid), !room.isPartial else { continue }
                let event = isSaid ? try reader.state(at: room.state, keys: [key], in: connection)[key] : nil
                let content = event?.pdu.content
                if let lifetime = RetentionPolicy(content, configuration).lifetime { found.append((room, lifetime)) }
            } catch let error where error is CorruptState || (error as? DatabaseError)?.kind == .corrupt {
                note(error, of: nid)
            }
        }
        return found
    }

    private func note(_ error: any Error, of room: Int64) {
        environment.logger.warning(
            "a room's old messages are kept, for it cannot be read",
            metadata: ["room": "\(room)", "cause": "\(error)"])
    }

    /// Asks for the purge of rooms that all users here have forgotten long ago.
    private func deleteAbandoned(_ now: Int64) async throws {
        let days = environment.configuration.rooms.forgottenKeptDays
        guard days > 0 else { return }
        try await environment.database.write { connection in
            let jobs = PurgeJobs(connection)
            for room in try AbandonedRooms(connection).since(
                before: now - days * Self.day, limit: Self.abandonedPerPass)
            {
                try jobs.add(.room, room: room, now: now)
            }
        }
    }

    // MARK: The file

    /// Gives what is free in SQLite's file back, where it was made so that this is possible.
    func freeSpace(_ state: inout State) async throws {
        guard environment.database.dialect == .sqlite else { return }
        while try await environment.database.write({ try FreePages($0).giveBack() }) { try await pause(&state) }
    }
}
