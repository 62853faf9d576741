internal import HTTPMessages
internal import HTTPTypes
internal import MatrixAPI
internal import MatrixModel

extension HomeserverConnection {
    /// Stores bytes as media of no type.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>
    func upload(_ bytes: [UInt8], token: String) async throws(ClientError) -> MXCURI {
        let answer = try await media(APICall(.uploadContent), body: bytes, token: token, ClientLimits.answerBytes)
        guard let uri = (try? JSONDocument(answer))?.root["content_uri"]?.string.flatMap({ try? MXCURI($0) }) else {
            throw .malformedAnswer(path: "content_uri")
        }
        return uri
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
    func download(_ uri: MXCURI, token: String, maximumBytes: Int) async throws(ClientError) -> [UInt8] {
        try await media(
            APICall(.getContentAuthed, ["serverName": uri.serverName.text, "mediaId": uri.mediaID]), body: [],
            token: token, maximumBytes)
    }

    private func media(
        _ call: APICall, body: [UInt8], token: String, _ maximumBytes: Int
    ) async throws(ClientError) -> [UInt8] {
        var fields = HTTPFields()
        fields[.authorization] = "Bearer \(token)"
        if call.route.method != .get { fields[.contentType] = "application/octet-stream" }
        let request = ClientRequest(
            method: call.route.method, scheme: homeserver.scheme, host: homeserver.host, port: homeserver.port,
            pathAndQuery: homeserver.path + call.pathAndQuery, fields: fields, body: body,
            timeout: ClientLimits.callTimeout, maximumResponseBytes: maximumBytes, allowPrivateAddresses: true,
            followRedirects: call.route.method == .get ? ClientLimits.mediaRedirects : 0)
        let response: ClientResponse
        do { response = try await http.send(request) } catch { throw .network(error) }
        guard (200..<300).contains(response.status) else {
            throw HomeserverConnection.refusal(response.status, response.body)
        }
        return response.body
    }
}

extension Client {
    func upload(_ bytes: [UInt8]) async throws -> MXCURI {
        try await withToken { token in try await self.connection.upload(bytes, token: token) }
    }

    func download(_ uri: MXCURI, maximumBytes: Int) async throws -> [UInt8] {
        try await withToken { token in
            try await self.connection.download(uri, token: token, maximumBytes: maximumBytes)
        }
    }
}
