internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Cross-signing keys and the signatures users put on keys.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
struct CrossSigning: RouteGroup {
    /// Signatures of one request.
    static let maximumSignatures = 1_000

    let environment: Environment
    let deviceLists: DeviceLists
    let interactive: UserInteractiveAuthentication

    func register(on router: inout Router) {
        router.on(.uploadCrossSigningKeys) { request, requester in try await uploadKeys(request, requester) }
        router.on(.uploadCrossSigningSignatures) { request, requester in
            try await uploadSignatures(request, requester)
        }
    }

    private static let usages = [
        ("master_key", "master"), ("self_signing_key", "self_signing"), ("user_signing_key", "user_signing"),
    ]

    private func uploadKeys(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = requester.user
        var uploaded: [(usage: String, id: String, view: JSONView)] = []
        for (field, usage) in Self.usages {
            guard let view = try request.optionalObject(field) else { continue }
            guard view["user_id"]?.string == user.text,
                view["usage"]?.elements.contains(where: { $0.string == usage }) == true,
                let key = SignedKeys.publicKey(view), view.rawBytes.count <= KeyUploading.maximumKeyBytes
            else { throw MatrixError(.invalidParameter, "\(field) is not a \(usage) key of this user") }
            uploaded.append((usage, key.id, view))
        }
        guard !uploaded.isEmpty else { throw MatrixError(.missingParameter, "There is no key in the request") }
        let kept = try await environment.database.read { try DeviceKeyStore($0).crossSigningKeys(of: user) }
        try check(uploaded, kept, user)

        // The first keys, and the same keys again, need no more proof than the token.
        let current = Dictionary(kept.map { ($0.usage, $0.keyID) }, uniquingKeysWith: { $1 })
        let isFirst = current["master"] == nil
        let isSame = uploaded.allSatisfy { current[$0.usage] == $0.id }
        if !isFirst, !isSame, case .challenge(let response) = try await interactive.confirm(request, by: requester) {
            return response
        }

        let keys = try uploaded.map { key in
            DeviceKeyStore.CrossSigningKey(
                usage: key.usage, keyID: key.id,
                body: try CanonicalJSON.encode(SignedKeys.stripped(key.view, user: user), strict: false))
        }
        let deviceLists = deviceLists
        try await environment.database.write { connection in
            let store = DeviceKeyStore(connection)
            for key in keys { try store.save(key, of: user) }
            try deviceLists.crossSigningChanged(of: user, in: connection)
        }
        return .empty
    }

    /// The two lesser keys must be signed by the master key, the one uploaded or the one there already.
    private func check(
        _ uploaded: [(usage: String, id: String, view: JSONView)], _ kept: [DeviceKeyStore.CrossSigningKey],
        _ user: UserID
    ) throws(MatrixError) {
        let master =
            uploaded.first { $0.usage == "master" }?.id ?? kept.first { $0.usage == "master" }?.keyID
        guard let master, let bytes = Base64.decode(master), let key = try? Ed25519.PublicKey(bytes) else {
            throw MatrixError(.invalidParameter, "There is no master key yet")
        }
        for lesser in uploaded where lesser.usage != "master" {
            guard SignedJSON.verify(lesser.view, entity: user.text, keyID: "ed25519:\(master)", key: key) else {
                throw MatrixError(
                    MatrixError.Code("M_INVALID_SIGNATURE", status: 400),
                    "The \(lesser.usage) key is not signed by the master key")
            }
        }
    }

    // MARK: Signatures

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>
    private func uploadSignatures(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let signer = requester.user
        var failures: [String: [String: JSONValue]] = [:]
        var accepted: [(user: UserID, target: String, signature: DeviceKeyStore.Signature)] = []
        let ownKeys = try await signingKeys(of: signer)
        var count = 0
        for (name, targets) in request.body.members {
            guard let user = try? UserID(name) else { continue }
            let keys = try await targetKeys(of: user)
            for (target, object) in targets.members {
                count += 1
                guard count <= Self.maximumSignatures else {
                    throw MatrixError(.tooLarge, "At most \(Self.maximumSignatures) signatures", status: 400)
                }
                guard let uploaded = keys[target] else {
                    failures[name, default: [:]][target] = Self.failure("M_NOT_FOUND", "No such key")
                    continue
                }
                let found = signatures(in: object, over: uploaded, by: signer, ownKeys)
                if found.isEmpty {
                    failures[name, default: [:]][target] = Self.failure(
                        "M_INVALID_SIGNATURE", "No valid signature of this user's keys")
                }
                for signature in found { accepted.append((user, target, signature)) }
            }
        }
        if !accepted.isEmpty {
            let deviceLists = deviceLists
            let rows = accepted
            try await environment.database.write { connection in
                let store = DeviceKeyStore(connection)
                for row in rows { try store.add(row.signature, on: row.target, of: row.user) }
                if rows.contains(where: { $0.user == signer }) {
                    try deviceLists.crossSigningChanged(of: signer, in: connection)
                }
                // Signatures on others' keys are seen by their maker only: the maker's clients are told.
                for user in Set(rows.map(\.user)) where user != signer {
                    _ = try store.noteChange(of: user)
                }
            }
        }
        return .json(["failures": .object(failures.mapValues { .object($0) })])
    }

    private static func failure(_ code: String, _ text: String) -> JSONValue {
        ["errcode": .string(code), "error": .string(text)]
    }

    /// The public keys with which a user may sign: devices and cross-signing keys, by key id.
    private func signingKeys(of user: UserID) async throws -> [String: Ed25519.PublicKey] {
        try await environment.database.read { connection in
            let store = DeviceKeyStore(connection)
            var keys: [String: Ed25519.PublicKey] = [:]
            for (device, body) in try store.deviceKeys(of: user) {
                let name = "ed25519:\(device)"
                if let view = try? JSONDocument(body).root, let text = view["keys"]?[name]?.string,
                    let bytes = Base64.decode(text), let key = try? Ed25519.PublicKey(bytes)
                {
                    keys[name] = key
                }
            }
            for key in try store.crossSigningKeys(of: user) {
                if let bytes = Base64.decode(key.keyID), let publicKey = try? Ed25519.PublicKey(bytes) {
                    keys["ed25519:\(key.keyID)"] = publicKey
                }
            }
            return keys
        }
    }

    /// A user's keys that may be signed, by device id and by the public key of the master key.
    private func targetKeys(of user: UserID) async throws -> [String: JSONView] {
        let isLocal = environment.isLocal(user)
        return try await environment.database.read { connection in
            let store = DeviceKeyStore(connection)
            var keys: [String: JSONView] = [:]
            if isLocal {
                for (device, body) in try store.deviceKeys(of: user) { keys[device] = try? JSONDocument(body).root }
            } else {
                for device in try RemoteDeviceStore(connection).devices(of: user) {
                    keys[device.id] = device.keys.flatMap { try? JSONDocument($0).root }
                }
            }
            for key in try store.crossSigningKeys(of: user) where key.usage == "master" {
                keys[key.keyID] = try? JSONDocument(key.body).root
            }
            return keys
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
        for (keyID, signature) in (object["signatures"]?[signer.text]?.members ?? []).prefix(16) {
            guard let text = signature.string, let key = keys[keyID],
                SignedJSON.verify(object, entity: signer.text, keyID: keyID, key: key)
            else { continue }
            found.append(.init(signer: signer, keyID: keyID, signature: text))
        }
        return found
    }
}
