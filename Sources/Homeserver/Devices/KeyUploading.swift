internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Devices publish their keys. Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
struct KeyUploading: RouteGroup {
    let environment: Environment
    let deviceLists: DeviceLists

    func register(on router: inout Router) {
        router.on(.uploadKeys) { request, requester in try await upload(request, requester) }
    }

    private func upload(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        guard let device = requester.device else {
            throw MatrixError(.invalidParameter, "Keys belong to a device, and this token has none")
        }
        let user = requester.user
        let upload = try KeyUpload(request, user: user, device: device, limits: environment.configuration.limits)
        // Clients ask so how many keys are left.
        if upload.isEmpty {
            return answer(
                try await environment.database.read { try OneTimeKeyStore($0).counts(user: user, device: device) })
        }
        let deviceLists = deviceLists
        let counts: [String: Int] = try await environment.database.write { connection in
            // The device may have been deleted since the token was read. It is held, for clients upload the same keys
            // twice at once, and the second of two must find what the first one has added.
            guard try DeviceStore(connection).lock(device, of: user) else {
                throw MatrixError(.unknownToken, "This device was deleted")
            }
            return try upload.keep(in: connection, telling: deviceLists)
        }
        return answer(counts)
    }

    private func answer(_ counts: [String: Int]) -> APIResponse {
        .json { writer in
            writer.beginObject()
            writer.key("one_time_key_counts")
            Self.write(counts, into: &writer)
            writer.endObject()
        }
    }

    /// Counts by algorithm; `signed_curve25519` is always there, for clients upload again when it is missing.
    static func write(_ counts: [String: Int], into writer: inout JSONWriter) {
        var counts = counts
        counts["signed_curve25519", default: 0] += 0
        writer.beginObject()
        for (algorithm, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(algorithm)
            writer.integer(count)
        }
        writer.endObject()
    }
}
