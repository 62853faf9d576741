import Cryptography
import MatrixModel

/// Rule 5.4.1: an invite to an address has found its user.
extension EventAuthorization {
    func authorizeThirdPartyInvite(_ content: JSONView, _ target: UserID) throws(Rejection) {
        // 5.4.1.1. If target user is banned, reject.
        guard try membership(of: target, "5.4.1.1") != .ban else { throw Rejection("5.4.1.1", "the user is banned") }
        // 5.4.1.2. If content.third_party_invite does not have a signed property, reject.
        guard let signed = content["signed"] else { throw Rejection("5.4.1.2", "the invite is not signed") }
        // 5.4.1.3. If signed does not have mxid and token properties, reject.
        guard let user = signed["mxid"]?.string, let token = signed["token"]?.string else {
            throw Rejection("5.4.1.3", "the invite has no user or no token")
        }
        // 5.4.1.4. If mxid does not match state_key, reject.
        guard user.isSameText(as: target.text) else { throw Rejection("5.4.1.4", "the invite is for another user") }
        // 5.4.1.5. If there is no m.room.third_party_invite event in the current room state with state_key matching token,
        // reject.
        guard let invite = state.event(.thirdPartyInvite, token) else {
            throw Rejection("5.4.1.5", "the room has no such invite")
        }
        // 5.4.1.6. If sender does not match sender of the m.room.third_party_invite, reject.
        guard event.sender == invite.sender else { throw Rejection("5.4.1.6", "the invite is by another user") }
        // 5.4.1.7. If any signature in signed matches any public key in the m.room.third_party_invite event, allow.
        if isSigned(signed, by: ThirdPartyInvite(invite).publicKeys(atMost: AuthorizationLimits.inviteKeys)) { return }
        // 5.4.1.8. Otherwise, reject.
        throw Rejection("5.4.1.8", "no key of the invite has signed")
    }

    /// So many signatures and keys are tried as real invites never have: each costs time, and each answer must be the same
    /// on every run.
    private func isSigned(_ signed: JSONView, by keys: [Ed25519.PublicKey]) -> Bool {
        let signatures = (signed["signatures"]?.members ?? []).lazy.flatMap { entity, byKey in
            byKey.members.lazy.map { (entity: entity, keyID: $0.key) }
        }
        for signature in signatures.prefix(AuthorizationLimits.inviteSignatures) {
            for key in keys
            where SignedJSON.verify(signed, entity: signature.entity, keyID: signature.keyID, key: key) {
                return true
            }
        }
        return false
    }
}
