internal import MatrixModel

/// The one call that our user takes part in.
struct ActiveCall: Sendable {
    enum Phase: Sendable, Hashable {
        /// Ours; the media program makes the offer.
        case preparing
        /// Ours; nobody has answered.
        case inviteSent
        /// Theirs; the media program makes the answer.
        case answering
        /// Answered; media does not flow yet.
        case connecting
        case connected
    }

    /// Who may make an offer, beside the first.
    enum Signaling: Sendable, Hashable {
        case stable
        /// The media program makes an offer.
        case makingOffer(request: Int64, holding: Bool, until: Duration)
        /// Our offer waits for its answer.
        case offered(holding: Bool, until: Duration)
        /// The media program makes the answer to their offer.
        case makingAnswer(request: Int64, holding: Bool, until: Duration)
    }

    let key: CallKey
    let isCaller: Bool
    let ourParty: PartyID
    /// Whom we call; nil: whoever is there, or we are called.
    let invitee: UserID?
    /// Whose call this is; nil until we have chosen an answer.
    var opponent: CallParty?
    var opponentDevice: DeviceID?
    var opponentIsVersion0 = false
    var phase: Phase
    /// When the phase has lasted too long; nil: it may last.
    var deadline: Duration?

    // Media.
    /// Whether the program was told of the call; before, ICE servers are waited for.
    var hasMedia = false
    /// The offer of the other side, until the program has it.
    var remoteOffer: (SessionDescription, [String: StreamMetadata]?)?
    /// Their candidates until the program has their description.
    var remoteCandidates: [ICECandidate] = []
    var remoteCandidateCount = 0
    var ourStreams: [String: StreamMetadata]?
    var theirStreams: [String: StreamMetadata]?
    var connectedSince: Duration?
    /// By when the caller should have confirmed our answer; nil: it has, or need not.
    var confirmBy: Duration?
    var isConfirmed = false

    // Candidates of ours.
    var candidates: [ICECandidate] = []
    var candidateCount = 0
    var flushAt: Duration?

    // Before there is an opponent.
    var waiting: [CallParty: [WaitingEvent]] = [:]
    /// Who has left without having answered, as far as we know.
    var gone: [CallParty: CallHangupReason] = [:]

    // Negotiation.
    var signaling = Signaling.stable
    var lastRequest: Int64 = 0
    var needsOffer = false
    var failedOffers = 0
    /// What the user wants, and what the other side was last told.
    var wantsHold = false
    var isHolding = false
    /// Whether the other side holds us.
    var isHeld = false

    init(_ key: CallKey, isCaller: Bool, ourParty: PartyID, invitee: UserID?, phase: Phase, deadline: Duration) {
        self.key = key
        self.isCaller = isCaller
        self.ourParty = ourParty
        self.invitee = invitee
        self.phase = phase
        self.deadline = deadline
    }

    /// A new number for a request to the media program.
    mutating func nextRequest() -> Int64 {
        lastRequest += 1
        return lastRequest
    }

    /// Whether the first offer is answered.
    var isAnswered: Bool { phase == .connecting || phase == .connected }

    /// The streams as the other side is told: on hold it gets nothing of them.
    func announced(_ streams: [String: StreamMetadata]?, holding: Bool) -> [String: StreamMetadata]? {
        guard holding else { return streams }
        return streams?.mapValues { StreamMetadata($0.purpose, audioMuted: true, videoMuted: true) }
    }
}
