import ClientEncryption
import FedchatKit
import Foundation
import MatrixModel

/// Files in messages.
struct FileRequests: Sendable {
    let client: Client

    func send(_ params: JSONValue) async throws -> JSONValue {
        let room = try await client.room(named: try params.requiredString("room"), creating: true)
        let path = try params.requiredString("file")
        let name = path.split(separator: "/").last.map(String.init) ?? "file"
        var attachment = Attachment(
            name: name, type: params["type"]?.string ?? Self.type(of: name), bytes: try read(path))
        if let thumbnail = params["thumbnail"]?.string { attachment.thumbnail = try read(thumbnail) }
        let event = try await client.send(attachment, to: room)
        return try await client.receipt(of: event, in: room)
    }

    /// Writes beside the place, and moves it there when all of it is right.
    func download(_ params: JSONValue) async throws -> JSONValue {
        let room = try await client.room(named: try params.requiredString("room"))
        let id: EventID = try params.argument("event", "an event id")
        let event: TimelineEvent
        switch try await client.why(id, in: room) {
        case .success(let readable): event = readable
        case .failure(let why):
            throw Failure("the message cannot be read: \(why.cause.rawValue)", Failure.Status.undecryptable)
        }
        let sent = event.event["content", "filename"]?.string ?? event.event["content", "body"]?.string ?? "file"
        let path = try params["file"]?.string ?? "\(params.requiredString("folder"))/\(Self.plainName(sent))"
        guard !FileManager.default.fileExists(atPath: path) else {
            throw Failure("\(path) exists", Failure.Status.usage)
        }
        let temporary = "\(path).\(getpid()).part"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("cannot write \(path)", Failure.Status.usage) }
        defer {
            close(descriptor)
            unlink(temporary)
        }
        _ = try await client.download(fileOf: event) { bytes in
            guard Self.write(bytes, to: descriptor) else {
                throw Failure("cannot write \(path)", Failure.Status.unexpected)
            }
        }
        // link and not rename: a file that came there meanwhile is not ours to replace.
        guard fsync(descriptor) == 0, link(temporary, path) == 0 else {
            throw Failure("cannot write \(path)", Failure.Status.unexpected)
        }
        return ["file": .string(path)]
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return false }
        }
        return true
    }

    /// A name without a path, as others give it.
    private static func plainName(_ name: String) -> String {
        let last = name.split(whereSeparator: { $0 == "/" || $0 == "\\" }).last.map(String.init) ?? "file"
        let cut = String(Output.name(last).prefix(128))
        return cut.isEmpty || cut.hasPrefix(".") ? "file\(cut)" : cut
    }

    private func read(_ path: String) throws -> [UInt8] {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
            let size = attributes[.size] as? Int, attributes[.type] as? FileAttributeType == .typeRegular
        else { throw Failure("cannot read \(path)", Failure.Status.usage) }
        guard size <= ClientLimits.attachmentBytes, let bytes = FileManager.default.contents(atPath: path) else {
            throw Failure(
                "\(path) is too long: at most \(ClientLimits.attachmentBytes) bytes", Failure.Status.usage)
        }
        return [UInt8](bytes)
    }

    private static func type(of name: String) -> String {
        switch name.split(separator: ".").last.map({ $0.lowercased() }) {
        case "png": "image/png"
        case "jpg", "jpeg": "image/jpeg"
        case "gif": "image/gif"
        case "webp": "image/webp"
        case "mp4": "video/mp4"
        case "webm": "video/webm"
        case "mp3": "audio/mpeg"
        case "ogg", "opus": "audio/ogg"
        case "wav": "audio/wav"
        case "pdf": "application/pdf"
        case "txt", "md": "text/plain"
        default: "application/octet-stream"
        }
    }
}
