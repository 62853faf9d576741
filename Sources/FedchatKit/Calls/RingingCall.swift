internal import ClientEncryption
internal import MatrixModel

/// A call that somebody else has placed and nobody has taken yet.
struct RingingCall: Sendable {
    let key: CallKey
    let invite: CallInvite
    let caller: CallParty
    var callerDevice: DeviceID?
    let standing: SenderStanding
    /// Whether the caller's device or identity is another than before.
    let hasChanged: Bool
    let isVersion0: Bool
    /// When it stops to ring.
    let expires: Duration
    /// Whether the user was told.
    var isReported = false
    /// What the caller sent besides: taken in when the call is.
    var waiting: [WaitingEvent] = []

    /// Whether it may be taken without the user's word: nobody but the caller can have made it, as far as is known.
    var isSurelyTheirs: Bool { (standing == .verified || standing == .crossSigned) && !hasChanged }
}

/// An event that is taken in later.
struct WaitingEvent: Sendable {
    let event: ReceivedCallEvent
    let content: CallEvent
    /// When it came.
    let at: Duration
}
