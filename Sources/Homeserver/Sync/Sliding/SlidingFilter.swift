internal import MatrixModel

/// Which rooms a list of sliding sync shows. Spec: MSC4186, `SlidingRoomFilter`.
struct SlidingFilter: Sendable {
    var isDirect: Bool?
    var spaces: [RoomID]?
    var isEncrypted: Bool?
    var isInvite: Bool?
    var isTombstoned: Bool?
    /// Types of rooms; nil among them is a room without one.
    var roomTypes: Set<String?>?
    var notRoomTypes: Set<String?>?
    /// What the name has in it, in lower case.
    var nameLike: String?
    var tags: Set<String>?
    var notTags: Set<String>?

    /// Whether it must know a room's state.
    var needsState: Bool {
        isEncrypted != nil || isTombstoned != nil || roomTypes != nil || notRoomTypes != nil || nameLike != nil
    }

    /// Whether it must know a room's tags.
    var needsTags: Bool { tags != nil || notTags != nil }

    /// Whether a room is shown, as far as its state decides.
    func allows(_ traits: RoomTraits) -> Bool {
        if let isEncrypted, traits.isEncrypted != isEncrypted { return false }
        if let isTombstoned, traits.isTombstoned != isTombstoned { return false }
        if let roomTypes, !roomTypes.contains(traits.roomType) { return false }
        if let notRoomTypes, notRoomTypes.contains(traits.roomType) { return false }
        if let nameLike, !(traits.name?.lowercased().contains(nameLike) ?? false) { return false }
        return true
    }

    /// Whether a room with these tags is shown.
    func allows(tags found: Set<String>) -> Bool {
        if let notTags, !notTags.isDisjoint(with: found) { return false }
        return tags.map { !$0.isDisjoint(with: found) } ?? true
    }
}
