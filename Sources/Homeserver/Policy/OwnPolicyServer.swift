internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// This server as a policy server: signs the events that it recommends, for other servers and for its own sending alike.
///
/// What was said of an event once is said again, so that servers do not come to see different rooms: what is in the log has
/// its signature or was withheld, and what is on its way is remembered in memory. Nothing else is kept.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#policy-servers>
struct OwnPolicyServer: Sendable {
    let name: ServerName
    let publicKey: Ed25519.PublicKey
    private let key: Ed25519.SigningKey
    private let settings: ReloadedSettings
    private let reader: RoomReader
    private let limiter: RateLimiter
    private let verdicts = BoundedCache<EventID, Result<String, MatrixError>>(budget: PolicyLimits.verdictCacheBytes)
    private let judging = SingleFlight<EventID, String>()

    /// - Returns: nil where the operator does not have this server be one.
    init?(environment: Environment, reader: RoomReader, limiter: RateLimiter) {
        guard let key = environment.policyServerKey else { return nil }
        self.key = key
        self.reader = reader
        self.limiter = limiter
        name = environment.serverName
        publicKey = key.publicKey
        settings = environment.settings
    }

    /// Its signature, in unpadded base64, of an event whose sender's server has signed it.
    /// - Throws: `MatrixError` 400 `M_FORBIDDEN` for what it does not recommend; `DatabaseError`.
    func signature(of event: PDU) async throws -> String {
        // A signature is of the redacted event and this hash: whoever has one could put the content in that belongs to it.
        guard ContentHash.matches(event) else { throw Self.refused("The event's content is not what was hashed") }
        if let verdict = verdicts.value(event.id) { return try verdict.get() }
        return try await judging.run(event.id) {
            if let verdict = verdicts.value(event.id) { return try verdict.get() }
            let verdict = try await judge(event)
            verdicts.put(event.id, verdict, cost: PolicyLimits.verdictBytes)
            return try verdict.get()
        }
    }

    private func judge(_ event: PDU) async throws -> Result<String, MatrixError> {
        let stored = try await reader.event(event.id)
        let isPast = stored.map { !$0.flags.contains(.outlier) } ?? false
        if let stored, isPast {
            if EventSignatures.verify(stored.pdu, server: name, keyID: RoomPolicy.keyID, key: publicKey),
                let signature = stored.pdu.signatures?[name.text]?[RoomPolicy.keyID]?.string
            {
                return .success(signature)
            }
            guard stored.flags.isDisjoint(with: [.softFailed, .rejected]) else {
                return .failure(Self.refused("The event was withheld by the room's policy server before"))
            }
        }
        if let reason = settings.policyRules.refusal(of: event) { return .failure(Self.refused(reason)) }
        // What was there before this server signed in the room is not sent now.
        if !isPast, PolicyRules.isCounted(event) {
            do {
                try await limiter.take(.policyEvents, who: "\(event.roomID) \(event.sender)")
            } catch let error as MatrixError where error.code == .limitExceeded {
                // Not 429: the next server that asks for this event must not be told otherwise.
                return .failure(Self.refused("The sender sends more than the room's policy server takes"))
            }
        }
        return .success(EventSignatures.signature(of: event, by: key))
    }

    static func refused(_ reason: String) -> MatrixError { MatrixError(.forbidden, reason, status: 400) }
}
