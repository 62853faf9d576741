internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Cross-signing keys. The signatures users put on keys are in `CrossSigning+Signatures.swift`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
struct CrossSigning: RouteGroup {
    let environment: Environment
    let deviceLists: DeviceLists
    let interactive: UserInteractiveAuthentication
    /// Finds keys of other servers' users that are to be signed and not known yet.
    var remote: RemoteDevices?

    func register(on router: inout Router) {
        router.on(.uploadCrossSigningKeys) { request, requester in try await uploadKeys(request, requester) }
        router.on(.uploadCrossSigningSignatures) { request, requester in
            try await uploadSignatures(request, requester)
        }
    }

    private struct UploadedKey: Sendable {
        var usage: String
        var id: String
        var view: JSONView
    }

    private static let usages = [
        ("master_key", "master"), ("self_signing_key", "self_signing"), ("user_signing_key", "user_signing"),
    ]

    static let invalidSignature = MatrixError.Code("M_INVALID_SIGNATURE", status: 400)

    private func uploadKeys(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let user = requester.user
        let uploaded = try keys(of: request, user)
        let (kept, devices) = try await environment.database.read { connection in
            (
                try DeviceKeyStore(connection).keys(of: user, readableBy: nil).crossSigning,
                try DeviceStore(connection).devices(of: user, includingHidden: true).map(\.id.text)
            )
        }
        try check(uploaded, kept, user)
        guard !uploaded.contains(where: { devices.contains($0.id) }) else {
            throw MatrixError(.forbidden, "A key is called as one of the devices")
        }

        // The first keys, and the same keys again, need no more proof than the token.
        let current = Dictionary(kept.map { ($0.usage, $0.keyID) }, uniquingKeysWith: { $1 })
        let isFirst = current["master"] == nil
        let isSame = uploaded.allSatisfy { current[$0.usage] == $0.id }
        if !isFirst, !isSame, requester.applicationService == nil,
            case .challenge(let response) = try await interactive.confirm(request, by: requester)
        {
            return response
        }

        let keys = try uploaded.map { key throws(MatrixError) -> DeviceKeyStore.CrossSigningKey in
            let body = SignedKeys.stripped(key.view, user: user)
            do {
                return .init(
                    usage: key.usage, keyID: key.id, body: try CanonicalJSON.encode(body, strict: false))
            } catch { throw MatrixError(.badJSON, "A key has no canonical form") }
        }
        guard !keys.allSatisfy(kept.contains) else { return .empty }
        let deviceLists = deviceLists
        try await environment.database.write { connection in
            let store = DeviceKeyStore(connection)
            if let device = requester.device { _ = try DeviceStore(connection).lock(device, of: user) }
            let now = try store.keys(of: user, readableBy: nil).crossSigning
            // The client said it twice at once.
            if keys.allSatisfy(now.contains) { return }
            // What the proof was asked for must not have changed meanwhile.
            guard Set(now) == Set(kept) else {
                throw MatrixError(.forbidden, "The keys were changed by another request")
            }
            for key in keys { try store.save(key, of: user) }
            try deviceLists.crossSigningChanged(of: user, in: connection)
        }
        return .empty
    }

    private func keys(of request: APIRequest, _ user: UserID) throws(MatrixError) -> [UploadedKey] {
        var uploaded: [UploadedKey] = []
        for (field, usage) in Self.usages {
            guard let view = try request.optionalObject(field) else { continue }
            guard view["user_id"]?.string == user.text,
                view["usage"]?.elements.contains(where: { $0.string == usage }) == true,
                let key = SignedKeys.publicKey(view), view.rawBytes.count <= DeviceLimits.keyBytes
            else { throw MatrixError(.invalidParameter, "\(field) is not a \(usage) key of this user") }
            uploaded.append(UploadedKey(usage: usage, id: key.id, view: view))
        }
        guard !uploaded.isEmpty else { throw MatrixError(.missingParameter, "There is no key in the request") }
        return uploaded
    }

    /// The two lesser keys must be signed by the master key, the one uploaded or the one there already.
    private func check(
        _ uploaded: [UploadedKey], _ kept: [DeviceKeyStore.CrossSigningKey], _ user: UserID
    ) throws(MatrixError) {
        let master = uploaded.first { $0.usage == "master" }?.id ?? kept.first { $0.usage == "master" }?.keyID
        guard let master, let key = SignedKeys.key(master) else {
            throw MatrixError(.missingParameter, "There is no master key")
        }
        for lesser in uploaded where lesser.usage != "master" {
            guard SignedJSON.verify(lesser.view, entity: user.text, keyID: "ed25519:\(master)", key: key) else {
                throw MatrixError(Self.invalidSignature, "The \(lesser.usage) key is not signed by the master key")
            }
        }
    }
}
