public import HomeserverStorage
public import MatrixModel

/// What became of an event in the checks on receipt.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
public enum Verdict: Sendable, Hashable {
    case accepted
    /// Allowed where it stands, but not by the current state, or not by the policy server.
    case softFailed(String)
    /// Not allowed by its auth events or by the state before it.
    case rejected(String)
}

/// An event that has been through all checks. Nothing else gets into the log.
public struct JudgedPDU: Sendable {
    public var pdu: PDU
    public var verdict: Verdict
    /// The state before it, stored; nil for an outlier, and for history whose state is not known.
    public var stateBefore: StateRoot?
    /// Whether the state before it is only assumed, since nobody told it.
    var isStateAssumed = false
    /// It is only part of a state or an auth chain.
    public var isOutlier: Bool
    /// It is history fetched later, and goes before all that is there, or into the gap that `gapEnd` names.
    public var isBackfilled: Bool
    /// The position of the event behind the gap that history belongs into.
    public var gapEnd: Int64?
    /// How far the room's state was known when it was judged.
    public var knowledge: RoomKnowledge
    /// The servers it is to be sent to: for events of ours that were signed elsewhere too.
    public var destinations: [ServerName]
    /// The request of ours that it was made for.
    var origin: SendOrigin?

    /// Makes a judged event.
    public init(
        pdu: PDU, verdict: Verdict, stateBefore: StateRoot?, isOutlier: Bool = false, isBackfilled: Bool = false,
        knowledge: RoomKnowledge = RoomKnowledge(), destinations: [ServerName] = []
    ) {
        self.pdu = pdu
        self.verdict = verdict
        self.stateBefore = stateBefore
        self.isOutlier = isOutlier
        self.isBackfilled = isBackfilled
        self.knowledge = knowledge
        self.destinations = destinations
    }
}

/// More of a room has become known since an event was judged by its state, or it was joined anew: it is to be judged again.
struct RoomKnowledgeChanged: Error {}

/// A draft with what else is said about its sending.
struct DraftJob: Sendable {
    var draft: EventDraft
    var origin: SendOrigin?
    /// Milliseconds since 1970 where an application service sets the time.
    var timestamp: Int64?
}

/// One thing to be done to a room.
enum RoomJob: Sendable {
    case draft(DraftJob)
    case judged([JudgedPDU])
    case completion(RoomCompletion)
}
