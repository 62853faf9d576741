internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// Comparing emoji or numbers.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#short-authentication-string-sas-verification>
extension Verification {
    mutating func startSAS() -> [Action] {
        guard phase == .ready, common.contains(.sas) else { return [] }
        var fields = SASExchange.offer
        fields["from_device"] = .string(us.device.text)
        let start = content(fields)
        phase = .sas
        sas = SASExchange(weStarted: true, start: start, random: random)
        return [.send("start", start)]
    }

    mutating func takeSASStart(_ start: JSONValue) -> [Action] {
        switch phase {
        // A start without a request is deprecated, and still to be answered.
        case .requested where !weRequested: break
        case .ready: break
        case .sas:
            guard let sas, sas.weStarted, sas.step == .accept else { return cancel(.unexpectedMessage) }
            // Both started: the smaller of the two counts.
            if weAreSmaller { return [] }
        default: return cancel(.unexpectedMessage)
        }
        var exchange = SASExchange(weStarted: false, start: start, random: random)
        guard let chosen = exchange.choose() else { return cancel(.unknownMethod) }
        phase = .sas
        sas = exchange
        return [.send("accept", content(chosen))]
    }

    /// Whose start counts, if both start.
    var weAreSmaller: Bool {
        us.user == them.user
            ? us.device.text.utf8.lexicographicallyPrecedes(them.device.text.utf8)
            : us.user.text.utf8.lexicographicallyPrecedes(them.user.text.utf8)
    }

    mutating func takeSAS(_ type: String, _ content: JSONValue) -> [Action] {
        guard var exchange = sas else { return cancel(.unexpectedMessage) }
        switch (type, exchange.step) {
        case ("accept", .accept):
            guard exchange.take(accept: content) else { return cancel(.unknownMethod) }
            exchange.step = .key
            sas = exchange
            return [.send("key", self.content(["key": .string(exchange.ownKey)]))]
        case ("key", .key): return takeKey(content, exchange)
        case ("mac", .comparison):
            // Their user was faster.
            guard exchange.earlyMAC == nil else { return cancel(.unexpectedMessage) }
            sas?.earlyMAC = content
            return []
        case ("mac", .mac): return takeMAC(content)
        default: return cancel(.unexpectedMessage)
        }
    }

    private mutating func takeKey(_ content: JSONValue, _ exchange: SASExchange) -> [Action] {
        var exchange = exchange
        guard let text = content["key"]?.string, let bytes = Base64.decode(text),
            let key = try? Curve25519.PublicKey(bytes)
        else { return cancel(.invalidMessage) }
        if exchange.weStarted {
            guard let commitment = exchange.commitment,
                constantTimeEquals(Array(commitment.utf8), Array(exchange.commitment(to: text).utf8))
            else { return cancel(.mismatchedCommitment) }
        }
        guard key != exchange.own.publicKey, let established = try? exchange.own.established(with: key) else {
            return cancel(.invalidMessage)
        }
        exchange.theirKey = text
        exchange.established = established
        exchange.step = .comparison
        guard let code = exchange.code(us, them, transaction) else { return cancel(.invalidMessage) }
        sas = exchange
        let answer: [Action] =
            exchange.weStarted ? [] : [.send("key", self.content(["key": .string(exchange.ownKey)]))]
        return answer + [.compare(code)]
    }

    mutating func confirmSAS(_ isSame: Bool) -> [Action] {
        guard var exchange = sas, exchange.step == .comparison else { return [] }
        guard isSame else { return cancel(.mismatchedSAS) }
        exchange.step = .mac
        sas = exchange
        let ours = Action.send("mac", content(exchange.macs(us, them, transaction)))
        guard let early = exchange.earlyMAC else { return [ours] }
        return [ours] + takeMAC(early)
    }

    private mutating func takeMAC(_ content: JSONValue) -> [Action] {
        guard let verified = sas?.verify(content, us, them, transaction) else { return cancel(.keyMismatch) }
        sas?.step = .nothing
        phase = .done
        return [.verified(verified), .send("done", self.content()), .done]
    }
}
