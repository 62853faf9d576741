/// Stored events by number, bounded in bytes. An event does not change but by a redaction, which is notified as
/// `redacted <event_nid>…`: give such notifications to `forget`.
public final class EventCache: Sendable {
    private let events: BoundedCache<Int64, StoredEvent>

    /// A cache of about `bytes`.
    public init(bytes: Int) { events = BoundedCache(budget: bytes) }

    /// The event of a number, if it is here.
    public func event(_ nid: Int64) -> StoredEvent? { events.value(nid) }

    /// Keeps an event that is committed.
    public func keep(_ event: StoredEvent) { events.put(event.nid, event, cost: event.cost) }

    /// Drops events that were redacted.
    public func forget(_ nids: some Sequence<Int64>) { for nid in nids { events.remove(nid) } }

    /// Drops the events that a notification of the database says were redacted; ignores other notifications.
    public func received(_ notification: String) {
        guard notification.hasPrefix("redacted ") else { return }
        forget(notification.split(separator: " ").dropFirst().compactMap { Int64($0) })
    }

    /// The events of `nids`, from here or the log.
    /// - Throws: `DatabaseError`.
    public func events(_ nids: some Collection<Int64>, from log: EventLog) throws -> [Int64: StoredEvent] {
        var found: [Int64: StoredEvent] = [:]
        found.reserveCapacity(nids.count)
        var missing: [Int64] = []
        for nid in nids {
            if let event = event(nid) { found[nid] = event } else { missing.append(nid) }
        }
        guard !missing.isEmpty else { return found }
        for (nid, event) in try log.events(nids: missing) {
            keep(event)
            found[nid] = event
        }
        return found
    }
}
