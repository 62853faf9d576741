public import SQLDatabase

/// Which node serves which pushers. These fall into a few shards, each held by one node for a time; the nodes that are up
/// share them evenly.
public struct PushLeases {
    private let connection: any SQLConnection

    /// The leases as this transaction sees them.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Says that a node is up, keeps what it holds, gives away what is above its share, and takes what nobody holds.
    /// - Parameters:
    ///   - until: milliseconds since 1970 until which the node may be believed to be up.
    /// - Returns: the shards that the node holds now.
    /// - Throws: `DatabaseError`.
    public func take(holder: String, now: Int64, until: Int64) throws -> Set<Int> {
        try connection.executeAll([
            """
            INSERT INTO push_leases (name, holder, lease_until) VALUES (\("node " + holder), \(holder), \(until))
            ON CONFLICT (name) DO UPDATE SET lease_until = excluded.lease_until
            """,
            "DELETE FROM push_leases WHERE name LIKE 'node %' AND lease_until <= \(now)",
        ])
        var nodes = 0
        var held: [Int] = []
        var free = Set(0..<Pusher.shards)
        for row in try connection.query("SELECT name, holder, lease_until FROM push_leases") {
            let parts = try row.text(0).split(separator: " ", maxSplits: 1)
            let isLive = try row.integer(2) > now
            switch parts.first {
            case "node": nodes += 1
            case "shard":
                guard let shard = parts.last.flatMap({ Int($0) }), isLive else { continue }
                free.remove(shard)
                if try row.text(1) == holder { held.append(shard) }
            default: continue
            }
        }
        held.sort()
        let share = (Pusher.shards + max(nodes, 1) - 1) / max(nodes, 1)
        let given = held.dropFirst(share).map(Self.name)
        let kept = Array(held.prefix(share))
        if !given.isEmpty {
            try connection.execute(
                "UPDATE push_leases SET lease_until = 0 WHERE name IN \(list: given) AND holder = \(holder)")
        }
        var holding: Set<Int> = []
        if !kept.isEmpty {
            let names = kept.map(Self.name)
            for row in try connection.query(
                """
                UPDATE push_leases SET lease_until = \(until)
                WHERE name IN \(list: names) AND holder = \(holder) RETURNING name
                """)
            {
                if let shard = Self.shard(try row.text(0)) { holding.insert(shard) }
            }
        }
        for shard in free.sorted().prefix(max(0, share - kept.count)) {
            let taken = try connection.query(
                """
                INSERT INTO push_leases (name, holder, lease_until) VALUES (\(Self.name(shard)), \(holder), \(until))
                ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until
                WHERE push_leases.lease_until <= \(now) RETURNING name
                """)
            if !taken.isEmpty { holding.insert(shard) }
        }
        return holding
    }

    private static func name(_ shard: Int) -> String { "shard \(shard)" }

    private static func shard(_ name: String) -> Int? { name.split(separator: " ").last.flatMap { Int($0) } }
}
