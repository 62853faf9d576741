public import Cryptography

/// `m.room.third_party_invite`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomthird_party_invite>
public struct ThirdPartyInvite: Sendable {
    /// The event whose content this reads.
    public let event: PDU

    /// A view of an event of this type.
    public init(_ event: PDU) { self.event = event }

    /// The keys of which one must have signed the invite: `public_key` and those in `public_keys`, at most so many.
    public func publicKeys(atMost maximum: Int) -> [Ed25519.PublicKey] {
        let content = event.content
        let listed = content["public_keys"]?.elements.lazy.compactMap { $0["public_key"] } ?? [].lazy.compactMap { $0 }
        let first = content["public_key"].map { [$0] } ?? []
        return (first + listed.prefix(maximum)).prefix(maximum).compactMap { view in
            guard let text = view.string, let bytes = Base64.decode(text) else { return nil }
            return try? Ed25519.PublicKey(bytes)
        }
    }
}
