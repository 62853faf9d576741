internal import MatrixModel

/// Changes of a call that goes on: hold, more media, other routes.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallnegotiate>, and WebRTC's perfect negotiation.
extension CallMachine {
    mutating func hold(_ wanted: Bool) {
        guard let call = active else { return }
        guard !call.opponentIsVersion0 else {
            return notice(
                .unsupported, call.key.room, call.key.call, user: call.opponent?.user, "their client cannot be held")
        }
        active?.wantsHold = wanted
        offerIfNeeded()
    }

    /// Begins an offer if one is due and may be made now.
    mutating func offerIfNeeded() {
        guard let call = active, call.isAnswered, call.signaling == .stable,
            call.needsOffer || call.wantsHold != call.isHolding
        else { return }
        active?.needsOffer = false
        guard !call.opponentIsVersion0 else { return }
        let request = active?.nextRequest() ?? 0
        active?.signaling = .makingOffer(
            request: request, holding: call.wantsHold, until: now + ClientLimits.mediaPatience)
        actions.append(.media(call.key, .createOffer(request: request, holding: call.wantsHold)))
    }

    /// The program's description, once the call is answered.
    mutating func negotiated(
        _ request: Int64, _ description: SessionDescription, _ streams: [String: StreamMetadata]?
    ) {
        guard let call = active else { return }
        let isHolding: Bool
        // What was asked for before something else came in between is not wanted any more.
        switch (call.signaling, description.kind) {
        case (.makingOffer(request, let holding, _), .offer):
            isHolding = holding
            active?.signaling = .offered(holding: holding, until: now + ClientLimits.negotiateLifetime)
        case (.makingAnswer(request, let holding, _), .answer):
            isHolding = holding
            active?.signaling = .stable
        default: return
        }
        if let streams { active?.ourStreams = streams }
        send(
            .negotiate(
                CallNegotiate(
                    description: description,
                    lifetimeMilliseconds: ClientLimits.negotiateLifetime.wholeMilliseconds,
                    streams: call.announced(streams ?? call.ourStreams, holding: isHolding))),
            in: call.key, as: call.ourParty)
        if description.kind == .answer { settled(holding: isHolding) }
    }

    /// Their offer, or their answer to ours.
    mutating func take(_ negotiate: CallNegotiate, age: Duration) {
        guard let call = active else { return }
        let (key, opponent) = (call.key, call.opponent?.user)
        guard !call.opponentIsVersion0, call.isAnswered else {
            return notice(.unexpected, key.room, key.call, user: opponent, "m.call.negotiate before an answer")
        }
        guard age <= .milliseconds(max(negotiate.lifetimeMilliseconds, 0)) else {
            return notice(.expired, key.room, key.call, user: opponent, "a change of the call")
        }
        switch negotiate.description.kind {
        case .answer:
            guard case .offered(let holding, _) = call.signaling else {
                return notice(.unexpected, key.room, key.call, user: opponent, "an answer to no offer")
            }
            active?.signaling = .stable
            note(negotiate.streams)
            setRemote(negotiate.description, streams: negotiate.streams, rollback: false)
            settled(holding: holding)
        case .offer:
            var rollback = false
            switch call.signaling {
            case .stable, .makingAnswer: break
            case .makingOffer, .offered:
                // Both offer at once: the caller insists, the callee gives way and tries again later.
                if call.isCaller { return }
                rollback = true
                active?.needsOffer = true
            }
            note(negotiate.streams)
            setRemote(negotiate.description, streams: negotiate.streams, rollback: rollback)
            let request = active?.lastRequest ?? 0
            active?.signaling = .makingAnswer(
                request: request, holding: call.wantsHold, until: now + ClientLimits.mediaPatience)
        }
    }

    private mutating func note(_ streams: [String: StreamMetadata]?) {
        guard let streams, let before = active?.theirStreams else { return }
        active?.theirStreams = streams
        reportMuted(before: before, after: streams)
    }

    /// Both sides agree again.
    private mutating func settled(holding: Bool) {
        guard let call = active else { return }
        active?.failedOffers = 0
        if holding != call.isHolding {
            active?.isHolding = holding
            report(.holding(call.key, holding))
        }
        offerIfNeeded()
    }

    /// Our offer was not made, not sent or not answered in time.
    mutating func offerFailed() {
        guard let call = active else { return }
        active?.signaling = .stable
        active?.failedOffers += 1
        actions.append(.media(call.key, .rollback))
        if call.failedOffers + 1 < ClientLimits.negotiationAttempts {
            active?.needsOffer = true
            return offerIfNeeded()
        }
        active?.failedOffers = 0
        active?.needsOffer = false
        active?.wantsHold = call.isHolding
        notice(
            .negotiationFailed, call.key.room, call.key.call, user: call.opponent?.user, "the change was not answered")
    }
}
