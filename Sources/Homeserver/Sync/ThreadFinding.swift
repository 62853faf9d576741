internal import HomeserverStorage
internal import MatrixModel

/// Finds the threads that events are in: of those that relate to a root, and what relates to these, over three steps.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>
enum ThreadFinding {
    /// The roots, for those that are in a thread; the others are in the main timeline.
    /// - Parameter relations: how events relate to which others, by `event_nid`.
    /// - Throws: `DatabaseError`.
    static func threads(
        of relations: [Int64: (type: String, target: String)], _ log: EventLog
    ) throws -> [Int64: String] {
        var found: [Int64: String] = [:]
        var open: [Int64: String] = [:]
        for (nid, relation) in relations {
            if relation.type == Relation.thread {
                found[nid] = relation.target
            } else {
                open[nid] = relation.target
            }
        }
        for _ in 1..<SyncLimits.threadHops where !open.isEmpty {
            let above = try log.relations(of: Set(open.values))
            var next: [Int64: String] = [:]
            for (nid, target) in open {
                guard let relation = above[target] else { continue }
                if relation.type == Relation.thread {
                    found[nid] = relation.target
                } else {
                    next[nid] = relation.target
                }
            }
            open = next
        }
        return found
    }
}
