internal import Cryptography

/// `m.room.policy`: the policy server whose signature says that an event is recommended for the room.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroompolicy>
public struct RoomPolicy: Sendable {
    /// The id of the key of every policy server.
    public static let keyID = "ed25519:policy_server"

    /// Who signs. It counts while one of its users is joined.
    public let server: ServerName
    /// The key that signs, as the room says it; nil where what it says is no key: then nothing is rightly signed.
    private let key: Ed25519.PublicKey?

    /// What the room's event says; nil where there is none, or one that says too little to count.
    public init?(_ event: PDU?) {
        guard let content = event?.content, let via = content["via"]?.string, let server = try? ServerName(via),
            let key = content["public_keys"]?["ed25519"]?.string
        else { return nil }
        self.server = server
        self.key = Base64.decode(key).flatMap { try? Ed25519.PublicKey($0) }
    }

    /// Whether an event of this type and state key needs the signature: all but the one that names the policy server.
    public static func covers(_ type: EventType, stateKey: String?) -> Bool { !(type == .policy && stateKey == "") }

    /// Whether the event has a signature of the policy server that holds.
    public func recommends(_ event: PDU) -> Bool {
        guard let key else { return false }
        return EventSignatures.verify(event, server: server, keyID: Self.keyID, key: key)
    }
}
