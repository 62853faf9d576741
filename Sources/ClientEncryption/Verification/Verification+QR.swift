internal import Cryptography
internal import MatrixModel

/// Showing and scanning a code.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#qr-codes>
extension Verification {
    mutating func showQR() -> [Action] {
        guard phase == .ready, common.contains(.showQR), let payload = qr ?? ownPayload() else { return [] }
        qr = payload
        return [.showQR(payload.bytes)]
    }

    /// What we would show; nil where a key that it needs is missing.
    private func ownPayload() -> QRPayload? {
        let mode: QRPayload.Mode = us.user != them.user ? .otherUser : us.trustsMaster ? .trusting : .untrusting
        let (first, second): (String?, String?) =
            switch mode {
            case .otherUser: (us.trustsMaster ? us.master : nil, them.master)
            case .trusting: (us.master, them.ed25519)
            case .untrusting: (us.ed25519, us.master)
            }
        guard let first = first.flatMap({ Base64.decode($0) }), let second = second.flatMap({ Base64.decode($0) })
        else { return nil }
        return QRPayload(
            mode: mode, transaction: transaction, first: first, second: second, secret: random.bytes(16))
    }

    mutating func scanned(_ bytes: [UInt8]) -> [Action] {
        guard phase == .ready, common.contains(.scanQR) else { return [] }
        guard let payload = try? QRPayload(bytes), payload.transaction == transaction else {
            return cancel(.keyMismatch)
        }
        // A code for two users is none for two devices of one, and the other way round.
        guard (payload.mode == .otherUser) == (us.user != them.user) else { return cancel(.userMismatch) }
        let (first, second) = (Base64.encode(payload.first), Base64.encode(payload.second))
        var verified = VerifiedKeys()
        switch payload.mode {
        case .otherUser:
            guard us.trustsMaster, first == them.master, second == us.master else {
                return cancel(.keyMismatch)
            }
            verified.master = first
        case .trusting:
            guard first == us.master, second == us.ed25519 else { return cancel(.keyMismatch) }
            verified.master = first
        case .untrusting:
            guard us.trustsMaster, first == them.ed25519, second == us.master else {
                return cancel(.keyMismatch)
            }
            verified.ed25519 = first
        }
        phase = .reciprocating
        return [
            .send(
                "start",
                content([
                    "from_device": .string(us.device.text), "method": "m.reciprocate.v1",
                    "secret": .string(Base64.encode(payload.secret)),
                ])),
            .verified(verified),
        ]
    }

    mutating func takeReciprocation(_ content: JSONValue) -> [Action] {
        switch phase {
        case .ready: break
        // Both scanned the other's code: the smaller's start counts, as with every method.
        case .reciprocating where weAreSmaller: return []
        case .reciprocating: break
        default: return cancel(.unexpectedMessage)
        }
        guard let qr else { return cancel(.unexpectedMessage) }
        guard let secret = content["secret"]?.string.flatMap({ Base64.decode($0) }) else {
            return cancel(.invalidMessage)
        }
        guard constantTimeEquals(secret, qr.secret) else { return cancel(.keyMismatch) }
        phase = .scanned
        return [.confirmScan]
    }

    mutating func confirmScan(_ isSuccess: Bool) -> [Action] {
        guard isSuccess, let qr else { return cancel(.keyMismatch) }
        phase = .done
        var verified = VerifiedKeys()
        switch qr.mode {
        case .otherUser, .untrusting: verified.master = Base64.encode(qr.second)
        case .trusting: verified.ed25519 = Base64.encode(qr.second)
        }
        return [.verified(verified), .send("done", content()), .done]
    }
}
