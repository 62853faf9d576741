internal import Cryptography
public import MatrixAPI
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Signatures to be uploaded, and of what.
public struct SignatureUpload: Sendable {
    /// `POST /keys/signatures/upload`
    public let call: APICall
    let signed: [Signed]

    typealias Signed = (user: String, key: String, ed25519: String?)
}

/// Signing our own devices and other users' identities. What is to be signed is noted in the store until the server has
/// taken it.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>
extension EncryptionMachine {
    /// Our private key of this usage, if this device holds it and the server shows its public half.
    func signingKey(
        _ usage: CrossSigningKey.Usage, in connection: any SQLConnection
    ) throws -> Ed25519.SigningKey? {
        let name: SecretName =
            switch usage {
            case .master: .master
            case .selfSigning: .selfSigning
            case .userSigning: .userSigning
            }
        guard let own = try identity(of: user, in: connection), let seed = try secret(name, in: connection) else {
            return nil
        }
        let key = try Ed25519.SigningKey(seed: seed)
        let shown: String? =
            switch usage {
            case .master: own.master
            case .selfSigning: own.selfSigning
            case .userSigning: own.userSigning
            }
        return Base64.encode(key.publicKey.bytes) == shown ? key : nil
    }

    /// Vouches for another user's identity, which our user has just verified to be `master`. Throws `changedIdentity` if
    /// the server shows another, `cannotSign` without our user-signing key.
    func vouch(for other: UserID, master: String, in connection: any SQLConnection) throws {
        guard try identity(of: other, in: connection)?.master == master else {
            throw EncryptionError.changedIdentity(user: other)
        }
        guard try signingKey(.userSigning, in: connection) != nil, try isVerified(user, in: connection) else {
            throw EncryptionError.cannotSign
        }
        try signatureIsDue(other.text, master, in: connection)
    }

    /// Signs one of our devices, which our user has just verified to have the key `ed25519`, base64. Throws `cannotSign`
    /// without our self-signing key.
    func signOwnDevice(_ device: DeviceID, ed25519: String, in connection: any SQLConnection) throws {
        guard try signingKey(.selfSigning, in: connection) != nil, try isVerified(user, in: connection) else {
            throw EncryptionError.cannotSign
        }
        try signatureIsDue(user.text, device.text, ed25519: ed25519, in: connection)
    }

    /// A device that can sign signs itself.
    func signThisDevice(in connection: any SQLConnection) throws {
        try signatureIsDue(user.text, device.text, ed25519: try fingerprint(in: connection), in: connection)
    }

    /// `key` is a master key, or the id of a device of ours: a device's keys must be those that were verified, whatever is
    /// pinned by the time it is signed.
    private func signatureIsDue(
        _ user: String, _ key: String, ed25519: String? = nil, in connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            INSERT INTO signatures_due (user_id, key_id, ed25519) VALUES (\(user), \(key), \(ed25519))
            ON CONFLICT (user_id, key_id) DO UPDATE SET ed25519 = excluded.ed25519
            """)
    }

    /// The signatures that are due and that this device can make.
    public func signatureUpload(in connection: any SQLConnection) throws -> SignatureUpload? {
        var body: JSONValue = [:]
        var signed: [SignatureUpload.Signed] = []
        let rows = try connection.query(
            """
            SELECT user_id, key_id, ed25519 FROM signatures_due ORDER BY user_id, key_id
            LIMIT \(Limits.signaturesPerUpload)
            """)
        for row in rows {
            let (owner, name, verified) = (try row.text(0), try row.text(1), try row.optionalText(2))
            guard let object = try signedObject(owner, name, verified, in: connection) else { continue }
            var objects = body[owner] ?? [:]
            objects[name] = object
            body[owner] = objects
            signed.append((owner, name, verified))
        }
        guard !signed.isEmpty else { return nil }
        return SignatureUpload(call: APICall(.uploadCrossSigningSignatures, body: body), signed: signed)
    }

    private func signedObject(
        _ owner: String, _ name: String, _ verified: String?, in connection: any SQLConnection
    ) throws -> JSONValue? {
        let usage: CrossSigningKey.Usage = owner == user.text ? .selfSigning : .userSigning
        guard let key = try signingKey(usage, in: connection) else { return nil }
        let rows =
            owner == user.text
            ? try connection.query("SELECT object FROM own_device_objects WHERE device_id = \(name)")
            : try connection.query(
                "SELECT master_object FROM user_identities WHERE user_id = \(owner) AND master = \(name)")
        guard let row = rows.first else { return nil }
        var object = try JSONValue.parse(try row.bytes(0))
        object["signatures"] = nil
        // The server may show other keys under the name of the device that was verified.
        if owner == user.text {
            guard let verified, object["keys", "ed25519:\(name)"]?.string == verified,
                try isPinned(object, of: name, in: connection)
            else { return nil }
        }
        return SignedJSON.sign(
            object, as: user.text, keyID: "ed25519:\(Base64.encode(key.publicKey.bytes))", with: key)
    }

    private func isPinned(_ object: JSONValue, of name: String, in connection: any SQLConnection) throws -> Bool {
        guard let device = try? DeviceID(name), let known = try knownDevice(user, device, in: connection) else {
            return false
        }
        return !known.hasChanged && object["keys", "ed25519:\(name)"]?.string == known.ed25519
            && object["keys", "curve25519:\(name)"]?.string == known.curve25519
    }

    /// After the server took the upload. What it refused is given up and reported; the rest is asked for again, so that
    /// the signatures count here too.
    public func signaturesUploaded(
        _ upload: SignatureUpload, response: JSONView, in connection: any SQLConnection
    ) throws -> SyncOutcome {
        var outcome = SyncOutcome()
        for (owner, name, verified) in upload.signed {
            // Not if it was verified anew meanwhile, with another key.
            try connection.execute(
                """
                DELETE FROM signatures_due WHERE user_id = \(owner) AND key_id = \(name)
                    AND COALESCE(ed25519, '') = \(verified ?? "")
                """)
            if let failure = response["failures"]?[owner]?[name], !failure.isNull {
                let code = String((failure["errcode"]?.string ?? "").prefix(64))
                outcome.warnings.append("the server refused our signature for \(owner): \(code)")
            }
        }
        let users = Set(upload.signed.compactMap { try? UserID($0.user) })
        try track(users, in: connection)
        try noteChangedUsers(Array(users), in: connection)
        return outcome
    }
}
