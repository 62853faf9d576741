internal import MatrixModel

/// Checks signatures and hashes of events: the first checks on receipt.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu>
struct PDUVerification: Sendable {
    /// Why an event was dropped.
    struct Failure: Error, Sendable {
        let reason: String
    }

    /// Events whose signatures are checked at once: most of the time goes into waiting for servers' keys.
    private static let width = 64

    let environment: Environment
    let keyRing: KeyRing

    /// The event if its signatures are good: itself, or its redacted copy where the content is not what was hashed.
    func verified(_ pdu: PDU) async throws(Failure) -> PDU {
        for server in EventSignatures.requiredServers(of: pdu) {
            guard await isSigned(pdu, by: server) else { throw Failure(reason: "no valid signature of \(server)") }
        }
        if ContentHash.matches(pdu) { return pdu }
        do { return try pdu.redacted() } catch { throw Failure(reason: "the hash is wrong, and it cannot be redacted") }
    }

    /// The good ones of many events, in their order.
    func verified(_ pdus: [PDU]) async -> [PDU] {
        await withTaskGroup(of: (Int, PDU?).self) { group in
            var next = 0
            func start() {
                guard next < pdus.count else { return }
                let index = next
                let pdu = pdus[index]
                next += 1
                group.addTask { (index, try? await verified(pdu)) }
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
    }

    /// Whether at least one known key of a server signed an event, and no known key's signature is wrong.
    func isSigned(_ pdu: PDU, by server: ServerName) async -> Bool {
        let purpose = KeyRing.Purpose.event(
            at: pdu.originServerTimestamp, enforced: pdu.version.rules.enforceKeyValidity)
        var isSigned = false
        for keyID in EventSignatures.keyIDs(of: server, on: pdu).prefix(8)
        where keyID.hasPrefix("ed25519:") && keyID != RoomPolicy.keyID {
            guard let key = await keyRing.key(keyID, of: server, for: purpose) else { continue }
            guard EventSignatures.verify(pdu, server: server, keyID: keyID, key: key) else { return false }
            isSigned = true
        }
        return isSigned
    }
}
