internal import ClientEncryption
internal import MatrixModel

/// What others send. All of it may come late, twice, in another order, from others than it should, or be made up.
extension CallMachine {
    mutating func receive(_ event: ReceivedCallEvent) {
        guard CallEvent.isCallType(event.type), seen.insert(event.eventID) else { return }
        guard let standing = event.standing else {
            return notice(.unencrypted, event.room, nil, user: event.sender, "\(event.type.prefix(64)) in the clear")
        }
        // A message may be shown with that said; a call is taken.
        guard standing != .keyHandedOn else {
            return notice(.keyHandedOn, event.room, nil, user: event.sender, "\(event.type)")
        }
        let content: CallEvent
        do {
            guard let known = try CallEvent(type: event.type, content: event.content) else { return }
            content = known
        } catch {
            return notice(.malformed, event.room, nil, user: event.sender, "\(event.type.prefix(64)): \(error.path)")
        }
        receive(WaitingEvent(event: event, content: content, at: now))
    }

    private mutating func receive(_ each: WaitingEvent) {
        let key = CallKey(room: each.event.room, call: each.content.call)
        guard !over.contains(key) else { return }
        if active?.key == key {
            receiveActive(each)
        } else if ringing[key] != nil {
            receiveRinging(key, each)
        } else if case .invite(let invite) = each.content.body {
            receive(invite, each, key)
        } else {
            keepEarly(key, each)
        }
    }

    // MARK: Before the invite

    private mutating func keepEarly(_ key: CallKey, _ each: WaitingEvent) {
        guard !known.contains(key) else { return }
        if early[key] == nil {
            earlyOrder.append(key)
            if earlyOrder.count > ClientLimits.earlyCalls { early[earlyOrder.removeFirst()] = nil }
        }
        if early[key, default: []].count < ClientLimits.waitingCallEvents { early[key, default: []].append(each) }
    }

    // MARK: Invites

    private mutating func receive(_ invite: CallInvite, _ each: WaitingEvent, _ key: CallKey) {
        let (event, sender) = (each.event, each.event.sender)
        // Of several clients of ours, one may call another; else invites of our own are none.
        guard invite.invitee == user || (invite.invitee == nil && sender != user) else {
            over.insert(key)
            return
        }
        guard !known.contains(key) else {
            over.insert(key)
            return notice(.replayed, key.room, key.call, user: sender, "a call that is over came again")
        }
        let lifetime = min(.milliseconds(max(invite.lifetimeMilliseconds, 0)), ClientLimits.longestRinging)
        let left = lifetime - event.age
        guard left >= ClientLimits.leastRinging else {
            over.insert(key)
            return notice(.expired, key.room, key.call, user: sender, "a call of \(event.age.components.seconds) s ago")
        }
        if let claimed = event.claimedAge, claimed > event.age + ClientLimits.clockSkew {
            notice(
                .delayed, key.room, key.call, user: sender,
                """
                the caller's clock says \(claimed.components.seconds) s ago, the homeserver \
                \(event.age.components.seconds) s: one clock is wrong, or the call was held back
                """)
        }
        let call = RingingCall(
            key: key, invite: invite, caller: CallParty(user: sender, party: each.content.party),
            callerDevice: event.device, standing: event.standing ?? .unknownDevice, hasChanged: event.hasChanged,
            isVersion0: each.content.isVersion0, expires: now + left)
        if resolveGlare(with: call) { return }
        guard ringing.count < ClientLimits.ringingCalls else {
            over.insert(key)
            return notice(.tooMany, key.room, key.call, user: sender, "too many calls ring")
        }
        ringing[key] = call
        takeEarly(key)
    }

    private mutating func takeEarly(_ key: CallKey) {
        let events = early.removeValue(forKey: key) ?? []
        earlyOrder.removeAll { $0 == key }
        for each in events { receive(each) }
    }

    /// Both call each other in one room: one call goes on. Whether that settles what becomes of `theirs`.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#glare>
    private mutating func resolveGlare(with theirs: RingingCall) -> Bool {
        guard let ours = active, ours.isCaller, ours.key.room == theirs.key.room, theirs.caller.user != user,
            // A third person's call is no answer to ours.
            ours.invitee == nil || ours.invitee == theirs.caller.user
        else { return false }
        switch ours.phase {
        case .preparing: break
        case .inviteSent:
            guard theirs.key.call < ours.key.call else {
                // They take ours.
                over.insert(theirs.key)
                return true
            }
        case .answering, .connecting, .connected: return false
        }
        // A homeserver learns from our question for ICE servers that we call, and can make up a caller's device. What could
        // be its work rings like any call, and ours goes on.
        guard theirs.isSurelyTheirs else { return false }
        ringing[theirs.key] = theirs
        giveUpOurs()
        accept(theirs.key)
        takeEarly(theirs.key)
        return true
    }

    /// Our call, which nobody has answered, makes way for theirs.
    mutating func giveUpOurs() {
        guard let ours = active else { return }
        if ours.phase == .inviteSent { send(.hangup(.userHangup), in: ours.key, as: ours.ourParty) }
        // The media program goes on with the other call: it is not stopped, but started anew.
        active = nil
        over.insert(ours.key)
        actions.append(.remember(ours.key))
        report(.ended(ours.key, CallEnd(.local, .replaced), connected: nil))
    }

    /// Tells the user of calls that ring, once all is known that a sync brought.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#call-event-liveness>
    mutating func reportRinging() {
        for call in ringing.values.sorted(by: { $0.key.call < $1.key.call }) where !call.isReported {
            ringing[call.key]?.isReported = true
            report(
                .ringing(
                    call.key, caller: call.caller.user, device: call.callerDevice, standing: call.standing,
                    hasChanged: call.hasChanged, left: call.expires - now))
        }
    }

    // MARK: While it rings

    private mutating func receiveRinging(_ key: CallKey, _ each: WaitingEvent) {
        guard let call = ringing[key] else { return }
        let sender = CallParty(user: each.event.sender, party: each.content.party)
        if sender == call.caller {
            guard isDevice(each.event, call.callerDevice, of: key) else { return }
            if call.callerDevice == nil { ringing[key]?.callerDevice = each.event.device }
            switch each.content.body {
            case .hangup: endRinging(key, CallEnd(.remote, .cancelled))
            // The caller has chosen, and we have not even answered.
            case .selectAnswer: endRinging(key, CallEnd(.elsewhere, .answeredElsewhere))
            case .candidates, .negotiate, .streamMetadataChanged:
                guard call.waiting.count < ClientLimits.waitingCallEvents else {
                    return notice(.tooMany, key.room, key.call, user: sender.user, "events of a call that rings")
                }
                ringing[key]?.waiting.append(each)
            case .invite, .answer, .reject:
                notice(.unexpected, key.room, key.call, user: sender.user, "\(each.content.type) from the caller")
            }
        } else if sender.user == user {
            switch each.content.body {
            case .answer: endRinging(key, CallEnd(.elsewhere, .answeredElsewhere))
            case .reject: endRinging(key, CallEnd(.elsewhere, .rejectedElsewhere))
            case .hangup where each.content.isVersion0: endRinging(key, CallEnd(.elsewhere, .rejectedElsewhere))
            default: break
            }
        } else if case .invite = each.content.body {
            notice(.otherParty, key.room, key.call, user: sender.user, "an invite under the id of another's call")
        }
    }

    // MARK: In our call

    mutating func receiveActive(_ each: WaitingEvent) {
        guard let call = active else { return }
        let (event, content) = (each.event, each.content)
        let sender = CallParty(user: event.sender, party: content.party)
        if sender == CallParty(user: user, party: call.ourParty) { return }
        guard let opponent = call.opponent else { return receiveUnanswered(call, sender, each) }
        guard sender == opponent else {
            switch content.body {
            // Whom the caller did not choose ends by itself; what other devices of ours do is for the caller to judge.
            case .answer, .reject, .hangup: return
            case .candidates where call.isCaller || sender.user == user: return
            default:
                return notice(
                    .otherParty, call.key.room, call.key.call, user: sender.user,
                    "\(content.type) from somebody who has no part in the call")
            }
        }
        guard isDevice(event, call.opponentDevice, of: call.key) else { return }
        if call.opponentDevice == nil { active?.opponentDevice = event.device }
        switch content.body {
        case .candidates(let candidates): take(candidates)
        case .hangup(let reason): end(CallEnd(reason, by: .remote))
        case .negotiate(let negotiate): take(negotiate, age: event.age + (now - each.at))
        case .streamMetadataChanged(let streams): take(streams)
        case .selectAnswer(let party): selected(party, by: opponent)
        // An answer before it wins over a rejection.
        case .reject where call.isCaller: break
        case .invite, .answer, .reject:
            notice(.unexpected, call.key.room, call.key.call, user: sender.user, content.type)
        }
    }

    /// An event of a call of ours that nobody has answered yet.
    private mutating func receiveUnanswered(_ call: ActiveCall, _ sender: CallParty, _ each: WaitingEvent) {
        let (key, content) = (call.key, each.content)
        guard call.phase == .inviteSent else {
            return notice(.unexpected, key.room, key.call, user: sender.user, "\(content.type) before our invite")
        }
        guard call.invitee == sender.user || (call.invitee == nil && sender.user != user) else {
            return notice(
                .otherParty, key.room, key.call, user: sender.user, "\(content.type) from somebody we did not call")
        }
        switch content.body {
        case .answer(let answer): choose(sender, each, answer)
        case .reject:
            if let party = sender.party { send(.selectAnswer(party), in: key, as: call.ourParty) }
            end(CallEnd(.remote, .rejected))
        case .hangup(let reason):
            if content.isVersion0 {
                // Version 0 rejects so.
                end(reason == .userHangup ? CallEnd(.remote, .rejected) : CallEnd(reason, by: .remote))
            } else if reason == .userBusy, call.invitee != nil {
                end(CallEnd(reason, by: .remote))
            } else if call.gone.count < ClientLimits.waitingParties {
                // One of their devices cannot; another may.
                active?.gone[sender] = reason
            }
        case .candidates, .negotiate, .streamMetadataChanged:
            guard
                call.waiting[sender] != nil || call.waiting.count < ClientLimits.waitingParties,
                call.waiting[sender]?.count ?? 0 < ClientLimits.waitingCallEvents
            else { return notice(.tooMany, key.room, key.call, user: sender.user, "events before an answer") }
            active?.waiting[sender, default: []].append(each)
        case .invite, .selectAnswer: notice(.unexpected, key.room, key.call, user: sender.user, content.type)
        }
    }

    /// The first answer is the one.
    private mutating func choose(_ party: CallParty, _ each: WaitingEvent, _ answer: CallAnswer) {
        guard let call = active else { return }
        if let selected = party.party { send(.selectAnswer(selected), in: call.key, as: call.ourParty) }
        if let reason = call.gone[party] { return end(CallEnd(reason, by: .remote)) }
        let waiting = call.waiting[party] ?? []
        active?.opponent = party
        active?.opponentDevice = each.event.device
        active?.opponentIsVersion0 = each.content.isVersion0
        active?.waiting = [:]
        active?.gone = [:]
        active?.theirStreams = answer.streams
        active?.phase = .connecting
        active?.deadline = now + ClientLimits.connectPatience
        report(
            .answered(
                call.key, by: party.user, device: each.event.device,
                standing: each.event.standing ?? .unknownDevice, hasChanged: each.event.hasChanged))
        setRemote(answer.answer, streams: answer.streams, rollback: false)
        for event in waiting { receiveActive(event) }
    }

    private mutating func selected(_ party: PartyID, by caller: CallParty) {
        guard let call = active, !call.isCaller else { return }
        if party == call.ourParty {
            active?.isConfirmed = true
            active?.confirmBy = nil
        } else if call.isConfirmed {
            notice(.unexpected, call.key.room, call.key.call, user: caller.user, "another answer is chosen besides")
        } else {
            end(CallEnd(.elsewhere, .answeredElsewhere))
        }
    }

    /// A party stays on its device: another of the room's devices could use its id, and a homeserver could make up one
    /// that is on nobody's list.
    private mutating func isDevice(_ event: ReceivedCallEvent, _ pinned: DeviceID?, of key: CallKey) -> Bool {
        guard let pinned, event.device != pinned else { return true }
        let device = event.device.map { "\($0)" } ?? "an unknown device"
        notice(.otherDevice, key.room, key.call, user: event.sender, "\(event.type) from \(device), not \(pinned)")
        return false
    }
}
