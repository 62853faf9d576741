internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// An event whose signatures are good, and whose body is what was hashed, or else redacted: what the checks on receipt begin
/// with. Only `PDUVerification` makes one; those that were staged are so no more than once.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
@dynamicMemberLookup struct VerifiedPDU: Sendable {
    let pdu: PDU

    fileprivate init(_ pdu: PDU) { self.pdu = pdu }

    /// What was verified before it was staged.
    /// - Throws: `MalformedEvent`.
    init(_ staged: InboundStaging.Staged, version: RoomVersion) throws(MalformedEvent) {
        pdu = try PDU(parsing: staged.body, version: version, knownID: try? EventID(staged.eventID))
    }

    subscript<Value>(dynamicMember member: KeyPath<PDU, Value>) -> Value { pdu[keyPath: member] }
}

/// Checks signatures and hashes of events: the first checks on receipt.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
struct PDUVerification: Sendable {
    /// Why an event was dropped.
    struct Failure: Error, Sendable {
        let reason: String
    }

    /// Events whose signatures are checked at once: most of the time goes into waiting for servers' keys.
    private static let width = 64
    /// Signatures of one server's known keys that are checked on one event; more say nothing new.
    private static let signaturesChecked = 8
    /// Key ids of one server on one event for which it is asked, where it has signed by no known key.
    private static let keysAskedFor = 8

    let environment: Environment
    let keyRing: KeyRing

    /// The event if its signatures are good and its id is no other event's: itself, or its redacted copy where the content is
    /// not what was hashed.
    func verified(_ pdu: PDU) async throws(Failure) -> VerifiedPDU {
        let kept = try await keptIfSigned(pdu)
        guard await withoutTakenIDs([kept]).count == 1 else { throw Failure(reason: "its id is another event's") }
        return VerifiedPDU(kept)
    }

    /// The good ones of many events, in their order.
    func verified(_ pdus: [PDU]) async -> [VerifiedPDU] {
        let signed = await withTaskGroup(of: (Int, PDU?).self) { group in
            var next = 0
            func start() {
                guard next < pdus.count else { return }
                let index = next
                let pdu = pdus[index]
                next += 1
                group.addTask { (index, try? await keptIfSigned(pdu)) }
            }
            for _ in 0..<Self.width { start() }
            var good: [(Int, PDU)] = []
            good.reserveCapacity(pdus.count)
            for await (index, pdu) in group {
                if let pdu { good.append((index, pdu)) }
                start()
            }
            return good.sorted { $0.0 < $1.0 }.map(\.1)
        }
        return await withoutTakenIDs(signed).map { VerifiedPDU($0) }
    }

    private func keptIfSigned(_ pdu: PDU) async throws(Failure) -> PDU {
        let kept: PDU
        do { kept = ContentHash.matches(pdu) ? pdu : try pdu.redacted() } catch {
            throw Failure(reason: "the hash is wrong, and it cannot be redacted")
        }
        // What is left of an invite to an address may be an invite like any other, in the name of who never signed it.
        let servers = EventSignatures.requiredServers(of: pdu).union(EventSignatures.requiredServers(of: kept))
        for server in servers {
            guard await isSigned(pdu, by: server) else { throw Failure(reason: "no valid signature of \(server)") }
        }
        return kept
    }

    /// Those of some events whose ids are not those of other events that are here: of another room, or of another content.
    /// From room version 3 on an id tells what it is of.
    private func withoutTakenIDs(_ pdus: [PDU]) async -> [PDU] {
        let chosen = pdus.filter(\.version.rules.eventIDIsSent).map(\.id)
        guard !chosen.isEmpty else { return pdus }
        let sealer = environment.sealer
        // Whoever writes an event asks once more.
        let known = try? await environment.database.read { try EventLog($0, sealer).events(ids: chosen) }
        return pdus.filter { pdu in known?[pdu.id].map { pdu.isCopy(of: $0.pdu) } ?? true }
    }

    /// Whether at least one known key of a server signed an event, and no known key's signature is wrong. Only a server of
    /// which none is known is asked for its keys.
    func isSigned(_ pdu: PDU, by server: ServerName) async -> Bool {
        let purpose = KeyRing.Purpose.event(
            at: pdu.originServerTimestamp, enforced: pdu.version.rules.enforceKeyValidity)
        let keyIDs = EventSignatures.signingKeyIDs(of: server, on: pdu)
        if let isSigned = await isSignedByKnownKeys(pdu, server, keyIDs, purpose) { return isSigned }
        for keyID in keyIDs.prefix(Self.keysAskedFor) {
            // Whatever was asked for, all that the server told is known then.
            _ = await keyRing.key(keyID, of: server, for: purpose)
            if let isSigned = await isSignedByKnownKeys(pdu, server, keyIDs, purpose) { return isSigned }
        }
        return false
    }

    /// Nil where none of the keys is known.
    private func isSignedByKnownKeys(
        _ pdu: PDU, _ server: ServerName, _ keyIDs: [String], _ purpose: KeyRing.Purpose
    ) async -> Bool? {
        let keys = await keyRing.knownKeys(keyIDs, of: server, for: purpose).prefix(Self.signaturesChecked)
        guard !keys.isEmpty else { return nil }
        return keys.allSatisfy { EventSignatures.verify(pdu, server: server, keyID: $0.id, key: $0.key) }
    }
}
