internal import MatrixModel
internal import PostQuantum
public import SQLDatabase

/// Our identity's signature on device keys that are others than before. Some servers (Synapse among them) keep the signature
/// that they have of a key and take no other, and then the device would count as unverified for ever: there the keys that the
/// signature fits are published again.
extension EncryptionMachine {
    /// The offer that the server holds us to; nil where we are free.
    public func fixedOffer(in connection: any SQLConnection) throws -> Bool? {
        guard
            let row = try connection.query("SELECT hybrid_fixed, hybrid_fixed_by FROM olm_account").first,
            let fixed = try row.optionalBool(0), let signer = try row.optionalText(1),
            try identity(of: user, in: connection)?.selfSigning == signer
        else { return nil }
        return fixed
    }

    /// What our device keys should say.
    func wantsOffer(in connection: any SQLConnection) throws -> Bool {
        try fixedOffer(in: connection) ?? (hybridPolicy(in: connection) != .off)
    }

    /// After our own keys were asked for: does the server show the new signature, once it has taken it?
    /// - Returns: whether it does not, and the keys before must be published again.
    func reviewOfferSignature(in connection: any SQLConnection) throws -> Bool {
        guard try connection.query("SELECT hybrid_unproved FROM olm_account").first?.bool(0) == true else {
            return false
        }
        let isSigned = try isSignedByUs(in: connection)
        let isDue = try !connection.query(
            "SELECT 1 FROM signatures_due WHERE user_id = \(user.text) AND key_id = \(device.text)"
        ).isEmpty
        guard isSigned || !isDue else { return false }
        try connection.execute("UPDATE olm_account SET hybrid_unproved = 0")
        guard !isSigned, let signer = try identity(of: user, in: connection)?.selfSigning else { return false }
        try connection.execute(
            """
            UPDATE olm_account
            SET hybrid_fixed = 1 - hybrid_offered, hybrid_fixed_by = \(signer), hybrid_offer_at = 0
            """)
        return true
    }
}
