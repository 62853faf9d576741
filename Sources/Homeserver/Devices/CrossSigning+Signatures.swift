internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Signatures that users put on keys: on their devices and master key, and on others' master keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>
extension CrossSigning {
    /// A user's keys as they are known here.
    private struct Target: Sendable {
        /// The objects that may be signed, by device id and by the master key's public key.
        var objects: [String: JSONView] = [:]
        var master: String?
    }

    private struct Accepted: Sendable {
        var user: UserID
        var target: String
        var signature: DeviceKeyStore.Signature
    }

    func uploadSignatures(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let signer = requester.user
        var failures: [String: [String: JSONValue]] = [:]
        var accepted: [Accepted] = []
        var count = 0
        let signing = try await signingKeys(of: signer)
        for (name, targets) in request.body.members {
            guard targets.kind == .object else { throw MatrixError(.badJSON, "Keys are not an object") }
            count += targets.count
            guard count <= environment.configuration.limits.signaturesPerUpload else {
                throw MatrixError(
                    .tooLarge, "At most \(environment.configuration.limits.signaturesPerUpload) signatures", status: 400
                )
            }
            var known = Target()
            if let user = try? UserID(name) { known = try await target(user) }
            for (id, object) in targets.members {
                guard let user = try? UserID(name), let key = known.objects[id] else {
                    failures[name, default: [:]][id] = Self.failure("M_NOT_FOUND", "No such key")
                    continue
                }
                // One's devices are signed by the self-signing key, one's master key by devices, others by the
                // user-signing key.
                let keys: [String: Ed25519.PublicKey]
                switch (user == signer, id == known.master) {
                case (true, true): keys = signing.devices
                case (true, false): keys = signing.selfSigning
                case (false, true): keys = signing.userSigning
                case (false, false): keys = [:]
                }
                let found = signatures(in: object, over: key, by: signer, keys)
                if found.isEmpty {
                    failures[name, default: [:]][id] = Self.failure(
                        Self.invalidSignature.text, "There is no valid signature by the right key of yours")
                }
                for signature in found { accepted.append(Accepted(user: user, target: id, signature: signature)) }
            }
        }
        if !accepted.isEmpty { try await keep(accepted, by: signer) }
        return .json(["failures": .object(failures.mapValues { .object($0) })])
    }

    private func keep(_ rows: [Accepted], by signer: UserID) async throws {
        let deviceLists = deviceLists
        try await environment.database.write { connection in
            let store = DeviceKeyStore(connection)
            for row in rows { try store.add(row.signature, on: row.target, of: row.user) }
            if rows.contains(where: { $0.user == signer }) {
                try deviceLists.crossSigningChanged(of: signer, in: connection)
            }
            // Signatures on others' keys are seen by their maker only.
            for user in Set(rows.map(\.user)).sorted() where user != signer {
                try store.noteChange(of: user, seenBy: signer)
            }
        }
    }

    private static func failure(_ code: String, _ text: String) -> JSONValue {
        ["errcode": .string(code), "error": .string(text)]
    }

    /// The public keys with which a user signs, by `ed25519:` and name.
    private func signingKeys(of user: UserID) async throws -> (
        devices: [String: Ed25519.PublicKey], selfSigning: [String: Ed25519.PublicKey],
        userSigning: [String: Ed25519.PublicKey]
    ) {
        let keys = try await environment.database.read { try DeviceKeyStore($0).keys(of: user, readableBy: nil) }
        var devices: [String: Ed25519.PublicKey] = [:]
        for (id, device) in keys.devices {
            let name = "ed25519:\(id)"
            if let text = SignedKeys.parsed(device.body)?["keys"]?[name]?.string, let key = SignedKeys.key(text) {
                devices[name] = key
            }
        }
        func named(_ usage: String) -> [String: Ed25519.PublicKey] {
            guard let id = keys.key(usage)?.keyID, let key = SignedKeys.key(id) else { return [:] }
            return ["ed25519:\(id)": key]
        }
        return (devices, named("self_signing"), named("user_signing"))
    }

    private func target(_ user: UserID) async throws -> Target {
        let known = try await kept(user)
        guard known.master == nil, !environment.isLocal(user), let remote else { return known }
        // Keys that were never asked for, or of a user who shares no room.
        if await remote.resynchronize(user) == nil { return known }
        return try await kept(user)
    }

    private func kept(_ user: UserID) async throws -> Target {
        let isLocal = environment.isLocal(user)
        return try await environment.database.read { connection in
            let keys = try DeviceKeyStore(connection).keys(of: user, readableBy: nil)
            var target = Target()
            // Others' devices are not signed by anybody else.
            if isLocal {
                for (id, device) in keys.devices { target.objects[id] = try? JSONDocument(device.body).root }
            }
            if let master = keys.key("master") {
                target.master = master.keyID
                target.objects[master.keyID] = try? JSONDocument(master.body).root
            }
            return target
        }
    }

    /// The valid signatures by `signer` in an uploaded object, which must be the key that is kept.
    private func signatures(
        in object: JSONView, over kept: JSONView, by signer: UserID, _ keys: [String: Ed25519.PublicKey]
    ) -> [DeviceKeyStore.Signature] {
        let omitted: Set<String> = ["signatures", "unsigned"]
        guard let bytes = try? CanonicalJSON.encode(object, omitting: omitted, strict: false),
            let keptBytes = try? CanonicalJSON.encode(kept, omitting: omitted, strict: false), bytes == keptBytes
        else { return [] }
        var found: [DeviceKeyStore.Signature] = []
        for (keyID, signature) in object["signatures"]?[signer.text]?.members ?? [] {
            guard let text = signature.string, let key = keys[keyID],
                SignedJSON.verify(object, entity: signer.text, keyID: keyID, key: key)
            else { continue }
            found.append(.init(signer: signer, keyID: keyID, signature: text))
            if found.count == DeviceLimits.signaturesPerKey { break }
        }
        return found
    }
}
