public import MatrixModel

/// What this server made of an event.
public struct EventFlags: OptionSet, Sendable, Hashable {
    public let rawValue: Int64

    /// Flags as a row holds them.
    public init(rawValue: Int64) { self.rawValue = rawValue }

    /// Known only as part of a state or an auth chain: it has no place in the timeline.
    public static let outlier = EventFlags(rawValue: 1)
    /// Broke the authorization rules; counts for nothing.
    public static let rejected = EventFlags(rawValue: 2)
    /// Allowed where it stands, but not by the state of its day: not shown, not referenced.
    public static let softFailed = EventFlags(rawValue: 4)
    /// The state at it is not fully known.
    public static let partialState = EventFlags(rawValue: 8)
    /// Its body is what the redaction left.
    public static let redacted = EventFlags(rawValue: 16)
    /// Nobody told the state before it, and the room's current state was taken for that: what follows it is not judged by it.
    public static let assumedState = EventFlags(rawValue: 32)
}

/// An event with what the log knows of it.
public struct StoredEvent: Sendable, Identifiable {
    /// `event_nid`
    public let nid: Int64
    public let pdu: PDU
    /// `room_nid`
    public let roomNID: Int64
    /// Its place in the room's timeline and in the stream `events`; negative for history fetched later, nil outside of
    /// the timeline (outliers, rejected and soft-failed events).
    public let position: Int64?
    public let flags: EventFlags
    /// The room's state after it; nil where that is not known.
    public let stateAfter: StateRoot?
    /// The room's state when it was the newest event, where that is known and another than the state after it: what parallel
    /// events resolve to.
    public let headState: StateRoot?
    /// The `event_nid` that held its state key before it.
    public let replaces: Int64?
    /// The redaction that was applied.
    public let redactedBy: EventID?
    /// The device that sent it, if that was one of ours.
    public let senderDevice: DeviceID?
    /// The transaction id that device gave.
    public let transactionID: String?

    public var id: EventID { pdu.id }

    /// An event as read from the log, or just appended.
    public init(
        nid: Int64, pdu: PDU, roomNID: Int64, position: Int64?, flags: EventFlags, stateAfter: StateRoot?,
        headState: StateRoot? = nil, replaces: Int64?, redactedBy: EventID? = nil, senderDevice: DeviceID? = nil,
        transactionID: String? = nil
    ) {
        self.nid = nid
        self.pdu = pdu
        self.roomNID = roomNID
        self.position = position
        self.flags = flags
        self.stateAfter = stateAfter
        self.headState = headState
        self.replaces = replaces
        self.redactedBy = redactedBy
        self.senderDevice = senderDevice
        self.transactionID = transactionID
    }

    /// About how many bytes it takes in memory.
    public var cost: Int { pdu.canonicalJSON.count * 3 + 512 }
}

/// Who sent an event, and under which transaction id, so that a repeated request finds the first answer.
public struct SendOrigin: Sendable, Hashable {
    public var user: UserID
    public var device: DeviceID?
    /// Which endpoint and room: transaction ids are scoped to device and path.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers>
    public var scope: String
    public var transactionID: String

    /// Makes an origin.
    public init(user: UserID, device: DeviceID?, scope: String, transactionID: String) {
        self.user = user
        self.device = device
        self.scope = scope
        self.transactionID = transactionID
    }
}
