/// Whose turn it is among the servers of whose events in a room something must be fetched: one after the other, however much
/// each has sent; and between two that have nobody in the room, one that has, so that many names buy no more turns.
struct OriginRotation {
    /// Who had the last turn of those in the room, and of the others.
    private var last: [Bool: String] = [:]
    private var wasResident = false

    /// - Parameters:
    ///   - origins: those that wait.
    ///   - residents: who is in the room.
    /// - Returns: nil where nobody waits.
    mutating func next(among origins: [String], residents: Set<String>) -> String? {
        let groups = Dictionary(grouping: origins, by: residents.contains)
        guard let isResident = [!wasResident, wasResident].first(where: { groups[$0] != nil }),
            let group = groups[isResident], let first = group.min()
        else { return nil }
        let next = last[isResident].flatMap { last in group.filter { $0 > last }.min() } ?? first
        last[isResident] = next
        wasResident = isResident
        return next
    }
}
