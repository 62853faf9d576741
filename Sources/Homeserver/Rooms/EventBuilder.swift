internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms

/// Makes finished events of drafts: previous events, auth events, hash, signature; and judges them as any other event.
struct EventBuilder: Sendable {
    let serverName: ServerName
    let signingKeys: SigningKeys

    /// The keys of the state that must be known to build a draft.
    static func keys(for draft: EventDraft, rules: RoomVersionRules) -> [StateKey] {
        var keys = authEventKeys(for: draft, rules: rules)
        keys += [StateKey(.create, ""), StateKey(.powerLevels, ""), StateKey(.policy, "")]
        if let stateKey = draft.stateKey { keys.append(StateKey(draft.type, stateKey)) }
        return keys
    }

    /// The finished event, which the room's state allows.
    /// - Throws: `M_FORBIDDEN` when it does not; `M_TOO_LARGE`, `M_BAD_JSON`.
    func build(_ draft: EventDraft, on head: RoomHead, timestamp: Int64) throws(MatrixError) -> PDU {
        let version = head.record.version
        let auth = authEvents(for: draft, on: head)
        var hashes: [EventID: [UInt8]] = [:]
        if version.rules.eventIDIsSent {
            for event in auth + head.prev { hashes[event.id] = event.pdu.referenceHash }
        }
        let pdu: PDU
        do throws(MalformedEvent) {
            pdu = try draft.seal(
                version: version, prev: head.prev.map(\.id), auth: auth.map(\.id), depth: depth(on: head),
                timestamp: timestamp, server: serverName, keyID: signingKeys.keyID, key: signingKeys.current,
                referenceHashes: hashes)
        } catch {
            throw MatrixError(error)
        }
        do throws(Rejection) {
            try authorize(pdu, given: head, by: version.rules, create: head.create ?? pdu)
        } catch {
            throw MatrixError(error)
        }
        return pdu
    }

    func authEvents(for draft: EventDraft, on head: RoomHead) -> [StoredEvent] {
        authEventKeys(for: draft, rules: head.record.version.rules).compactMap { head[$0] }
    }

    func depth(on head: RoomHead) -> Int64 {
        let (next, overflow) = head.record.depth.addingReportingOverflow(1)
        return overflow ? .max : next
    }
}

extension MatrixError {
    init(_ rejection: Rejection) { self.init(.forbidden, rejection.reason) }

    init(_ error: MalformedEvent) {
        switch error.kind {
        case .tooLarge: self.init(.tooLarge, error.rule)
        case .badJSON, .badFormat: self.init(.badJSON, error.rule)
        }
    }
}
