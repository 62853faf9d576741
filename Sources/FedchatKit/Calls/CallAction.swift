public import MatrixModel

/// What the machine wants done, in order.
public enum CallAction: Sendable, Hashable {
    /// An event to be sent to the call's room, encrypted, or not at all. It is worthless after the time given.
    case send(CallEvent, to: RoomID, within: Duration)
    /// A word to the media program.
    case media(CallKey, MediaCommand)
    /// Ask the homeserver for its ICE servers; the answer is ``CallInput/iceServers(_:life:)``.
    case fetchICEServers
    /// A word to the user.
    case report(CallReport)
    /// Keep the call's id: if it comes again, it is a replay.
    case remember(CallKey)
}
