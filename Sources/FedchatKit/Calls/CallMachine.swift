public import Cryptography
public import MatrixModel

/// The calls of one client, without media and without I/O: input and time go in, actions come out. The same inputs at the
/// same times give the same actions. It takes part in one call, and knows of others that ring.
///
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip>; what it leaves open is in `spec/calls.md`.
public struct CallMachine: Sendable {
    /// Whose client this is.
    public let user: UserID
    let random: any RandomSource

    var active: ActiveCall?
    var ringing: [CallKey: RingingCall] = [:]
    /// What came before its invite.
    var early: [CallKey: [WaitingEvent]] = [:]
    var earlyOrder: [CallKey] = []
    /// Calls that are over, or none of ours.
    var over = BoundedSet<CallKey>(limit: ClientLimits.rememberedCallEvents)
    /// Calls that were over before this machine began.
    let known: Set<CallKey>
    var seen = BoundedSet<EventID>(limit: ClientLimits.rememberedCallEvents)

    /// Nil until the homeserver was asked.
    var iceServers: [ICEServer]?
    var isFetchingICEServers = false
    var iceServersExpire: Duration?

    private var noticesSince = Duration.zero
    private var noticeCount = 0

    var now = Duration.zero
    var actions: [CallAction] = []

    /// A machine without calls. `known` are calls that were dealt with before: they do not ring again.
    public init(user: UserID, random: any RandomSource, known: Set<CallKey> = []) {
        self.user = user
        self.random = random
        self.known = known
    }

    /// The call that our user takes part in.
    public var activeCall: CallKey? { active?.key }

    /// Whether media flows.
    public var isConnected: Bool { active?.phase == .connected }

    /// The party that our call is with, once it is chosen, for tests and displays.
    public var opponent: CallParty? { active?.opponent }

    /// This client's own party in its call.
    public var ownParty: CallParty? { active.map { CallParty(user: user, party: $0.ourParty) } }

    /// The calls that ring.
    public var ringingCalls: Set<CallKey> { Set(ringing.keys) }

    /// Takes something in. `now` never goes back.
    public mutating func on(_ input: CallInput, at now: Duration) -> [CallAction] {
        self.now = max(self.now, now)
        runTimers()
        switch input {
        case .place(let room, let invitee): place(in: room, invitee)
        case .accept(let key): accept(key)
        case .reject(let key): reject(key)
        case .ignore(let key):
            if ringing[key] != nil { endRinging(key, CallEnd(.local, .ignored)) }
        case .hangUp: hangUp()
        case .hold(let wanted): hold(wanted)
        case .received(let events):
            for event in events { receive(event) }
            reportRinging()
        case .left(let user, let room): left(user, room)
        case .iceServers(let servers, let life): take(servers, life)
        case .media(let key, let event): media(key, event)
        case .sendFailed(let key, let body): sendFailed(key, body)
        case .tick: break
        }
        runTimers()
        defer { actions = [] }
        return actions
    }

    // MARK: What our user does

    private mutating func place(in room: RoomID, _ invitee: UserID?) {
        guard active == nil else {
            return notice(.busy, room, nil, user: nil, "there is another call")
        }
        // They call us already: to call back is to take it, if it is surely they. If not, it goes on ringing.
        let theirs = ringing.values.filter {
            $0.key.room == room && $0.caller.user != user && (invitee == nil || invitee == $0.caller.user)
                && $0.isSurelyTheirs
        }
        if let first = theirs.min(by: { $0.key.call < $1.key.call }) { return accept(first.key) }
        let key = CallKey(room: room, call: CallID(random: random))
        active = ActiveCall(
            key, isCaller: true, ourParty: PartyID(random: random), invitee: invitee, phase: .preparing,
            deadline: now + ClientLimits.mediaPatience)
        startMedia()
    }

    mutating func accept(_ key: CallKey) {
        guard let call = ringing[key] else { return }
        // Both call each other, and our user decides whose call goes on.
        if let ours = active, ours.isCaller, !ours.isAnswered, ours.key.room == key.room,
            ours.invitee == nil || ours.invitee == call.caller.user
        {
            giveUpOurs()
        }
        guard active == nil else {
            return notice(.busy, key.room, key.call, user: call.caller.user, "there is another call")
        }
        ringing[key] = nil
        var taken = ActiveCall(
            key, isCaller: false, ourParty: PartyID(random: random), invitee: nil, phase: .answering,
            deadline: now + ClientLimits.mediaPatience)
        taken.opponent = call.caller
        taken.opponentDevice = call.callerDevice
        taken.opponentIsVersion0 = call.isVersion0
        taken.isConfirmed = call.isVersion0
        taken.remoteOffer = (call.invite.offer, call.invite.streams)
        taken.theirStreams = call.invite.streams
        active = taken
        actions.append(.remember(key))
        report(
            .answering(
                key, caller: call.caller.user, device: call.callerDevice, standing: call.standing,
                hasChanged: call.hasChanged))
        startMedia()
        for each in call.waiting where active?.key == key { receiveActive(each) }
    }

    private mutating func reject(_ key: CallKey) {
        guard let call = ringing[key] else { return }
        let party = PartyID(random: random)
        // Version 0 has no reject.
        send(call.isVersion0 ? .hangup(.userHangup) : .reject, in: key, as: party)
        endRinging(key, CallEnd(.local, .rejected))
    }

    mutating func hangUp() {
        guard let call = active else { return }
        switch call.phase {
        case .preparing: break
        case .answering where !call.opponentIsVersion0: send(.reject, in: call.key, as: call.ourParty)
        default: send(.hangup(.userHangup), in: call.key, as: call.ourParty)
        }
        end(CallEnd(.local, .userHangup))
    }

    // MARK: Endings

    /// Ends the active call; nothing is sent.
    mutating func end(_ end: CallEnd) {
        guard let call = active else { return }
        active = nil
        over.insert(call.key)
        if call.hasMedia { actions.append(.media(call.key, .stop)) }
        actions.append(.remember(call.key))
        report(.ended(call.key, end, connected: call.connectedSince.map { now - $0 }))
    }

    /// Ends the active call, and tells the other side why.
    mutating func end(_ reason: CallHangupReason) {
        guard let call = active else { return }
        if call.phase != .preparing { send(.hangup(reason), in: call.key, as: call.ourParty) }
        end(CallEnd(reason, by: .local))
    }

    mutating func endRinging(_ key: CallKey, _ end: CallEnd) {
        guard let call = ringing.removeValue(forKey: key) else { return }
        over.insert(key)
        actions.append(.remember(key))
        if call.isReported || end.by == .local { report(.ended(key, end, connected: nil)) }
    }

    private mutating func sendFailed(_ key: CallKey, _ body: CallEvent.Body) {
        guard let call = active, call.key == key else { return }
        switch body {
        // Whoever answered or chose us has got it all the same.
        case .invite where call.phase != .inviteSent, .answer where call.isConfirmed || call.phase == .connected: break
        case .invite, .answer:
            // Its answer may have been lost, not the event itself.
            send(.hangup(.unknownError), in: key, as: call.ourParty)
            end(CallEnd(.local, .sendFailed))
        case .negotiate:
            notice(.sendFailed, key.room, key.call, user: nil, "a change of the call")
            if case .offered = call.signaling { offerFailed() }
        case .candidates: notice(.sendFailed, key.room, key.call, user: nil, "candidates")
        case .selectAnswer: notice(.sendFailed, key.room, key.call, user: nil, "the choice of an answer")
        case .streamMetadataChanged: notice(.sendFailed, key.room, key.call, user: nil, "what is muted")
        case .reject, .hangup: break
        }
    }

    private mutating func left(_ who: UserID, _ room: RoomID) {
        for (key, call) in ringing where key.room == room && (call.caller.user == who || who == user) {
            endRinging(key, CallEnd(who == user ? .local : .remote, .left))
        }
        guard let call = active, call.key.room == room else { return }
        if who == user {
            end(CallEnd(.local, .left))
        } else if call.opponent?.user == who || (call.opponent == nil && call.invitee == who) {
            end(CallEnd(.remote, .left))
        }
    }

    // MARK: Time

    private mutating func runTimers() {
        for (key, call) in ringing where call.expires <= now { endRinging(key, CallEnd(.remote, .inviteTimeout)) }
        if let expire = iceServersExpire, expire <= now, active != nil { fetchICEServers() }
        guard let call = active else { return }
        if let deadline = call.deadline, deadline <= now {
            switch call.phase {
            case .preparing, .answering: return end(.userMediaFailed)
            case .inviteSent: return end(.inviteTimeout)
            case .connecting: return end(.iceFailed)
            case .connected: return end(.iceTimeout)
            }
        }
        if let confirmBy = call.confirmBy, confirmBy <= now {
            active?.confirmBy = nil
            notice(
                .unconfirmed, call.key.room, call.key.call, user: call.opponent?.user,
                "the caller has not confirmed that it took this answer")
        }
        if let flush = call.flushAt, flush <= now { flushCandidates() }
        switch call.signaling {
        case .offered(_, let until), .makingOffer(_, _, let until):
            if until <= now { offerFailed() }
        case .makingAnswer(_, _, let until):
            if until <= now {
                active?.signaling = .stable
                actions.append(.media(call.key, .rollback))
                notice(.negotiationFailed, call.key.room, call.key.call, user: nil, "the media program does not answer")
            }
        case .stable: break
        }
    }

    // MARK: Words

    mutating func send(_ body: CallEvent.Body, in key: CallKey, as party: PartyID) {
        let life: Duration =
            switch body {
            case .invite: ClientLimits.inviteLifetime
            case .negotiate: ClientLimits.negotiateLifetime
            default: ClientLimits.inviteLifetime
            }
        actions.append(.send(CallEvent(body, call: key.call, party: party), to: key.room, within: life))
    }

    mutating func report(_ report: CallReport) { actions.append(.report(report)) }

    /// A flood of them is told of once a minute.
    mutating func notice(_ notice: CallNotice, _ room: RoomID, _ call: CallID?, user: UserID?, _ detail: String) {
        if now - noticesSince >= .seconds(60) { (noticesSince, noticeCount) = (now, 0) }
        noticeCount += 1
        guard noticeCount < ClientLimits.noticesPerMinute else {
            if noticeCount == ClientLimits.noticesPerMinute {
                report(.notice(.tooMany, room, nil, user: nil, detail: "notices: for a minute no more of them"))
            }
            return
        }
        report(.notice(notice, room, call, user: user, detail: detail))
    }
}
