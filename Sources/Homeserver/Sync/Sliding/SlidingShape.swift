/// The two shapes in which sliding sync is spoken: what clients use today, and what became part of the specification.
/// Both are read into one `SlidingRequest` and answered from one `SlidingAssembly`.
enum SlidingShape: Sendable {
    /// `POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync`
    case simplified
    /// `POST /_matrix/client/v4/sync`, MSC4186 as it was merged.
    case stable

    var expandedTimelineKey: String { self == .stable ? "expanded_timeline" : "unstable_expanded_timeline" }
    var strippedStateKey: String { self == .stable ? "stripped_state" : "invite_state" }
}
