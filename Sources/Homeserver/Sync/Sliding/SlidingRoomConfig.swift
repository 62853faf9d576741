/// What a client wants of a room.
struct SlidingRoomConfig: Sendable, Hashable {
    /// Events of the timeline at most.
    var timelineLimit = 0
    var requiredState = RequiredState()

    /// What both want together.
    mutating func formUnion(_ other: SlidingRoomConfig) {
        timelineLimit = max(timelineLimit, other.timelineLimit)
        requiredState.formUnion(other.requiredState)
    }
}
