internal import MatrixModel

/// The last minutes of all rooms, as far as they may be about calls: who begins to answer calls learns of those that ring
/// already. Bytes, still encrypted: most of it is never looked at.
struct RecentEvents: Sendable {
    struct Entry: Sendable {
        let room: RoomID
        let event: [UInt8]
        /// Milliseconds since 1970.
        let arrival: Int64
    }

    private var entries: [Entry] = []

    mutating func take(_ update: ClientUpdate, at now: Int64) {
        let oldest = now - ClientLimits.longestRinging.wholeMilliseconds
        entries.removeAll { $0.arrival < oldest }
        for (room, timeline) in update.timelines {
            for event in timeline.events.suffix(ClientLimits.recentEventsOfRoom) where event.mayBeOfCall {
                guard event.age(at: now) ?? 0 < ClientLimits.longestRinging.wholeMilliseconds else { continue }
                entries.append(Entry(room: room, event: Array(event.rawBytes), arrival: now))
            }
        }
        if entries.count > ClientLimits.recentEvents { entries.removeFirst(entries.count - ClientLimits.recentEvents) }
        var bytes = entries.reduce(0) { $0 + $1.event.count }
        while bytes > ClientLimits.recentEventBytes, !entries.isEmpty { bytes -= entries.removeFirst().event.count }
    }

    /// In the order in which they came, of one room or of all.
    func of(_ room: RoomID?) -> [Entry] { entries.filter { room == nil || $0.room == room } }
}

extension JSONView {
    /// How long ago an event was sent, milliseconds, where it came at `now`: as the homeserver says, else, since not every
    /// server tells it of events of others, by the two clocks. Nil where neither is sane.
    func age(at now: Int64) -> Int64? {
        if let told = self["unsigned", "age"]?.integer { return min(max(told, 0), 1 << 40) }
        return self["origin_server_ts"]?.integer.flatMap { (0...(1 << 50)).contains($0) ? now - $0 : nil }
    }

    /// Whether it is a call's event, or may be one once it is decrypted.
    var mayBeOfCall: Bool {
        guard self["state_key"] == nil, let type = self["type"]?.string else { return false }
        return type == "m.room.encrypted" || CallEvent.isCallType(type)
    }
}
