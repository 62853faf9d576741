internal import MatrixModel

/// What goes to the media program and what it says; candidates; ICE servers.
extension CallMachine {
    // MARK: Starting

    /// Tells the program of the call as soon as there are ICE servers.
    mutating func startMedia() {
        guard iceServers != nil, iceServersExpire.map({ $0 > now }) ?? true else { return fetchICEServers() }
        tellMedia()
    }

    private mutating func tellMedia() {
        guard let call = active, !call.hasMedia else { return }
        active?.hasMedia = true
        actions.append(.media(call.key, .start(isCaller: call.isCaller, servers: iceServers ?? [])))
        if call.isCaller {
            let request = active?.nextRequest() ?? 0
            actions.append(.media(call.key, .createOffer(request: request, holding: false)))
        } else if let (offer, streams) = call.remoteOffer {
            setRemote(offer, streams: streams, rollback: false)
        }
    }

    mutating func fetchICEServers() {
        guard !isFetchingICEServers else { return }
        isFetchingICEServers = true
        actions.append(.fetchICEServers)
    }

    mutating func take(_ servers: [ICEServer], _ life: Duration?) {
        isFetchingICEServers = false
        iceServers = servers
        // Asked for again while the old ones are still good.
        iceServersExpire = life.map { now + max($0 * 4 / 5, .seconds(1)) }
        guard let call = active else { return }
        if call.hasMedia {
            if !servers.isEmpty { actions.append(.media(call.key, .iceServers(servers))) }
        } else {
            tellMedia()
        }
    }

    // MARK: What the program says

    mutating func media(_ key: CallKey, _ event: MediaEvent) {
        // Of a call that was replaced or is over, something may still come.
        guard let call = active, call.key == key, call.hasMedia else { return }
        switch event {
        case .description(let request, let description, let streams): described(request, description, streams)
        case .candidates(let candidates): gathered(candidates)
        case .connection(let state): connection(state)
        case .negotiationNeeded:
            active?.needsOffer = true
            offerIfNeeded()
        case .streams(let streams):
            active?.ourStreams = streams
            guard call.isAnswered, call.theirStreams != nil, let told = call.announced(streams, holding: call.isHolding)
            else { return }
            send(.streamMetadataChanged(told), in: key, as: call.ourParty)
        case .hangUp: hangUp()
        case .failed, .gone: end(call.connectedSince == nil ? .userMediaFailed : .unknownError)
        }
    }

    private mutating func described(
        _ request: Int64, _ description: SessionDescription, _ streams: [String: StreamMetadata]?
    ) {
        guard let call = active else { return }
        let key = call.key
        switch (call.phase, description.kind) {
        case (.preparing, .offer) where request == call.lastRequest:
            active?.ourStreams = streams
            active?.phase = .inviteSent
            active?.deadline = now + ClientLimits.inviteLifetime
            send(
                .invite(
                    CallInvite(
                        offer: description, lifetimeMilliseconds: ClientLimits.inviteLifetime.wholeMilliseconds,
                        invitee: call.invitee, streams: streams)), in: key, as: call.ourParty)
            report(.calling(key, invitee: call.invitee))
            scheduleCandidates()
        case (.answering, .answer) where request == call.lastRequest:
            active?.ourStreams = streams
            active?.phase = .connecting
            active?.deadline = now + ClientLimits.connectPatience
            send(.answer(CallAnswer(answer: description, streams: streams)), in: key, as: call.ourParty)
            scheduleCandidates()
            offerIfNeeded()
        case (.connecting, _), (.connected, _): negotiated(request, description, streams)
        default: break
        }
    }

    private mutating func connection(_ state: MediaEvent.ConnectionState) {
        guard let call = active, call.isAnswered else { return }
        switch state {
        case .connecting: break
        case .connected:
            active?.phase = .connected
            active?.deadline = nil
            if call.connectedSince == nil {
                active?.connectedSince = now
                if !call.isCaller, !call.isConfirmed { active?.confirmBy = now + ClientLimits.confirmPatience }
            }
            if call.phase != .connected || call.deadline != nil { report(.connected(call.key)) }
        case .disconnected:
            guard call.phase == .connected, call.deadline == nil else { return }
            active?.deadline = now + ClientLimits.reconnectPatience
            report(.reconnecting(call.key))
        case .failed: end(call.connectedSince == nil ? .iceFailed : .iceTimeout)
        }
    }

    // MARK: Descriptions and candidates for the program

    /// Gives the program the other side's description, and what waited for it.
    mutating func setRemote(_ description: SessionDescription, streams: [String: StreamMetadata]?, rollback: Bool) {
        guard let call = active else { return }
        let request = description.kind == .offer ? active?.nextRequest() ?? 0 : call.lastRequest
        actions.append(
            .media(
                call.key,
                .setRemote(
                    request: request, description, streams: streams, rollback: rollback, holding: call.wantsHold)))
        active?.remoteOffer = nil
        if !call.remoteCandidates.isEmpty {
            active?.remoteCandidates = []
            actions.append(.media(call.key, .addCandidates(call.remoteCandidates)))
        }
        // Our own hold is answered by "inactive", which does not mean that they hold us.
        let isHeld = description.isHolding && (description.kind == .offer || !call.isHolding && !call.wantsHold)
        if isHeld != call.isHeld {
            active?.isHeld = isHeld
            report(.held(call.key, isHeld))
        }
    }

    mutating func take(_ candidates: [ICECandidate]) {
        guard let call = active else { return }
        let room = max(ClientLimits.candidatesOfOneSide - call.remoteCandidateCount, 0)
        let taken = Array(candidates.prefix(room))
        if taken.count < candidates.count {
            notice(.tooMany, call.key.room, call.key.call, user: call.opponent?.user, "candidates")
        }
        guard !taken.isEmpty else { return }
        active?.remoteCandidateCount += taken.count
        if call.hasMedia {
            actions.append(.media(call.key, .addCandidates(taken)))
        } else {
            active?.remoteCandidates += taken
        }
    }

    mutating func take(_ streams: [String: StreamMetadata]) {
        guard let call = active else { return }
        active?.theirStreams = streams
        if call.hasMedia { actions.append(.media(call.key, .streams(streams))) }
        reportMuted(before: call.theirStreams, after: streams)
    }

    mutating func reportMuted(before: [String: StreamMetadata]?, after: [String: StreamMetadata]) {
        func muted(_ streams: [String: StreamMetadata]?) -> [Bool] {
            guard let streams, !streams.isEmpty else { return [false, false] }
            return [streams.values.allSatisfy(\.audioMuted), streams.values.allSatisfy(\.videoMuted)]
        }
        guard let key = active?.key, muted(before) != muted(after) else { return }
        report(.muted(key, audio: muted(after)[0], video: muted(after)[1]))
    }

    // MARK: Our candidates

    /// Candidates go out a few at a time, not each alone.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#ice-candidate-batching>
    private mutating func gathered(_ candidates: [ICECandidate]) {
        guard let call = active else { return }
        let taken = candidates.prefix(max(ClientLimits.candidatesOfOneSide - call.candidateCount, 0))
        active?.candidateCount += taken.count
        active?.candidates += taken
        scheduleCandidates()
    }

    private mutating func scheduleCandidates() {
        guard let call = active, !call.candidates.isEmpty, call.phase != .preparing, call.phase != .answering else {
            return
        }
        if call.candidates.contains(where: \.isEnd) {
            flushCandidates()
        } else if call.flushAt == nil {
            active?.flushAt =
                now + (call.phase == .inviteSent ? ClientLimits.callerBatching : ClientLimits.calleeBatching)
        }
    }

    mutating func flushCandidates() {
        guard let call = active else { return }
        active?.flushAt = nil
        active?.candidates = []
        var batch: [ICECandidate] = []
        var bytes = 0
        for candidate in call.candidates {
            let size = candidate.json.serialized().count
            if batch.count == ClientLimits.candidatesPerEvent || bytes + size > ClientLimits.candidateBytesPerEvent {
                send(.candidates(batch), in: call.key, as: call.ourParty)
                (batch, bytes) = ([], 0)
            }
            batch.append(candidate)
            bytes += size
        }
        if !batch.isEmpty { send(.candidates(batch), in: call.key, as: call.ourParty) }
    }
}
