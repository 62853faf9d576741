import Cryptography
import HTTPMessages
import MatrixAPI
import MatrixModel

/// The Authorization header of other servers.
func fuzzRequestSignature(_ bytes: [UInt8]) {
    guard let signature = try? RequestSignature(parsing: text(bytes)) else { return }
    _ = signature.header
    guard let key = try? Ed25519.SigningKey(seed: Array(0..<32)) else { return }
    hold(
        !signature.verifies("GET", "/x", content: nil, to: signature.origin, key: key.publicKey),
        "nobody else has this key")
}

/// A request's target.
func fuzzPathAndQuery(_ bytes: [UInt8]) {
    let target = PathAndQuery(text(bytes))
    let query = target.query
    _ = query["a"]
    guard let segments = target.segments else { return }
    let again = PathAndQuery(PathAndQuery.encode(segments: segments, query: query))
    hold(again.segments == segments, "segments are read as they were written")
    hold(again.query == query, "a query is read as it was written")
}

/// Base64 and hexadecimal.
func fuzzBase64(_ bytes: [UInt8]) {
    _ = Base64.decode(text(bytes))
    _ = Hex.decode(text(bytes))
    for form in [Base64.Form.standard, .standardUnpadded, .urlSafe, .urlSafeUnpadded] {
        hold(Base64.decode(Base64.encode(bytes, form)) == bytes, "what was encoded is decoded")
    }
    hold(Hex.decode(Hex.encode(bytes)) == bytes, "what was encoded is decoded")
}

/// Tokens that clients bring back.
func fuzzSyncToken(_ bytes: [UInt8]) {
    let name = text(bytes)
    if let token = try? SyncToken(name) {
        hold((try? SyncToken(token.description)) == token, "a token reads itself")
    }
    if let token = try? TimelineToken(name) {
        hold((try? TimelineToken(token.description)) == token, "a token reads itself")
    }
    if let position = SlidingPosition(name) {
        hold(SlidingPosition(position.description) == position, "a position reads itself")
    }
}

/// A Content-Type, a line's end, a body of media over federation.
func fuzzMultipart(_ bytes: [UInt8]) {
    let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
    _ = MultipartMixed.boundary(of: text(bytes[..<end]))
    let body = Array(bytes[min(end + 1, bytes.count)...])
    guard let content = try? MultipartMixed.read(body, boundary: "b") else { return }
    if case .file(let file, _, let disposition) = content {
        hold(file.startIndex >= 0 && file.endIndex <= body.count, "a file is within its body")
        _ = disposition.flatMap { ContentDisposition.fileName(in: $0) }
    }
}

/// The first bytes of an image.
func fuzzImageHeader(_ bytes: [UInt8]) {
    guard let header = ImageHeader(bytes) else { return }
    hold(header.width > 0 && header.height > 0, "an image has a size")
    if let frames = FrameCount.of(bytes, header.format) {
        hold((0...MediaLimits.animationFrames).contains(frames), "frames are bounded")
    }
}

/// A Content-Type, a line's end, a page.
func fuzzPage(_ bytes: [UInt8]) {
    let end = bytes.firstIndex(of: 0x0A) ?? bytes.endIndex
    let page = Array(bytes[min(end + 1, bytes.count)...])
    let utf8 = CharacterDecoding.utf8(page, contentType: text(bytes[..<end]))
    hold(String(validating: utf8, as: UTF8.self) != nil, "a page is UTF-8 once it is read")
    let summary = PageSummary(utf8)
    hold(summary.properties.count <= MediaLimits.previewProperties, "properties are bounded")
    for text in [summary.title, summary.description].compactMap({ $0 }) {
        hold(text.unicodeScalars.count <= MediaLimits.previewValue + 1, "texts are bounded")
        hold(!text.unicodeScalars.contains { $0.value < 0x20 }, "texts hold no control characters")
    }
}

/// Another server's Content-Disposition.
func fuzzContentDisposition(_ bytes: [UInt8]) {
    guard let name = ContentDisposition.fileName(in: text(bytes)) else { return }
    hold(name.utf8.count <= MediaLimits.fileName, "a name is bounded")
    let header = ContentDisposition.header(contentType: text(bytes), fileName: name)
    hold(header.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "a header of ours is ASCII")
    hold(ContentDisposition.fileName(in: header) == name, "a name is read as it was written")
}
