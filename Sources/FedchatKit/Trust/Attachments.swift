internal import ClientEncryption
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// A file to be sent.
public struct Attachment: Sendable {
    /// What others see it called.
    public var name: String
    /// Such as `image/png`; it says too whether it is shown as an image, a video or a sound.
    public var type: String
    /// The file itself.
    public var bytes: [UInt8]
    /// A small image for those who have not fetched the file, JPEG or PNG.
    public var thumbnail: [UInt8]?

    /// A file with no thumbnail.
    public init(name: String, type: String, bytes: [UInt8]) {
        self.name = name
        self.type = type
        self.bytes = bytes
    }

    var messageType: String {
        switch type.prefix(while: { $0 != "/" }) {
        case "image": "m.image"
        case "video": "m.video"
        case "audio": "m.audio"
        default: "m.file"
        }
    }
}

/// Files in messages, encrypted where the room is.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sending-encrypted-attachments>
extension Client {
    /// Uploads a file and sends it. Throws ``ClientError``: `usage` for one over ``ClientLimits/attachmentBytes``.
    public func send(_ attachment: Attachment, to room: RoomID) async throws -> EventID {
        guard attachment.bytes.count <= ClientLimits.attachmentBytes else {
            throw ClientError.usage("the file is too long: at most \(ClientLimits.attachmentBytes) bytes")
        }
        try await caughtUp()
        let store = store
        guard let summary = try await database.read({ try store.room(room, in: $0) }), summary.membership == "join"
        else {
            throw ClientError.notFound("\(room): you are not in this room")
        }
        var details: JSONValue = [
            "mimetype": .string(attachment.type), "size": .integer(Int64(attachment.bytes.count)),
        ]
        var content: JSONValue = [
            "msgtype": .string(attachment.messageType), "body": .string(attachment.name),
            "filename": .string(attachment.name),
        ]
        let (field, source) = try await uploaded(attachment.bytes, isEncrypted: summary.isEncrypted)
        content[field] = source
        if let thumbnail = attachment.thumbnail {
            let (field, source) = try await uploaded(thumbnail, isEncrypted: summary.isEncrypted)
            details["thumbnail_\(field)"] = source
            details["thumbnail_info"] = [
                "mimetype": thumbnail.starts(with: [0xFF, 0xD8]) ? "image/jpeg" : "image/png",
                "size": .integer(Int64(thumbnail.count)),
            ]
        }
        content["info"] = details
        return try await send("m.room.message", content, to: room)
    }

    private func uploaded(_ bytes: [UInt8], isEncrypted: Bool) async throws -> (field: String, source: JSONValue) {
        guard isEncrypted else { return ("url", .string(try await upload(bytes).text)) }
        let file = try await EncryptedFile.encrypt(bytes, random: random) { try await self.upload($0) }
        return ("file", file.json)
    }

    /// Fetches the file of a message, piece by piece; `write` gets them in order. What it wrote counts only once this
    /// returns: it throws `encryption(.mismatch)` if the file is not what the message says. `notFound` for a message
    /// without one.
    /// - Returns: the name that the sender gave it.
    public func download(
        fileOf event: TimelineEvent, write: @Sendable ([UInt8]) async throws -> Void
    ) async throws -> String {
        let content = event.event["content"]
        let name = content?["filename"]?.string ?? content?["body"]?.string ?? "file"
        if let json = content?["file"] {
            let file = try EncryptedFile(json)
            var opening = file.opening()
            for try await piece in try await pieces(of: file.uri).chunks {
                let plaintext = try opening.update(piece)
                if !plaintext.isEmpty { try await write(plaintext) }
            }
            try await write(try opening.finish())
        } else if let uri = content?["url"]?.string.flatMap({ try? MXCURI($0) }) {
            for try await piece in try await pieces(of: uri).chunks { try await write(piece) }
        } else {
            throw ClientError.notFound("a file in this message")
        }
        return name
    }

    private func pieces(of uri: MXCURI) async throws -> HTTPBody {
        let connection = connection
        return try await withToken { token in try await connection.stream(uri, token: token) }
    }
}

extension HomeserverConnection {
    /// A file's body as it comes.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
    fileprivate func stream(_ uri: MXCURI, token: String) async throws(ClientError) -> HTTPBody {
        let call = APICall(.getContentAuthed, ["serverName": uri.serverName.text, "mediaId": uri.mediaID])
        var fields = HTTPFields()
        fields[.authorization] = "Bearer \(token)"
        let request = ClientRequest(
            method: .get, scheme: homeserver.scheme, host: homeserver.host, port: homeserver.port,
            pathAndQuery: homeserver.path + call.pathAndQuery, fields: fields, timeout: ClientLimits.downloadTimeout,
            maximumResponseBytes: ClientLimits.downloadBytes, allowPrivateAddresses: true)
        let response: StreamedResponse
        do { response = try await http.stream(request) } catch { throw .network(error) }
        guard (200..<300).contains(response.status) else {
            let body = (try? await response.body.collect(upTo: 65_536)) ?? []
            throw HomeserverConnection.refusal(response.status, body)
        }
        return response.body
    }
}
