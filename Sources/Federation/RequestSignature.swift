public import Cryptography
public import MatrixModel

/// The signature of a request between servers: the `X-Matrix` scheme of the Authorization header.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#request-authentication>
public struct RequestSignature: Sendable, Hashable {
    /// Why a header was refused.
    public struct Malformed: Error, Sendable, Equatable {
        public let reason: String
    }

    public var origin: ServerName
    /// Missing only from old servers.
    public var destination: ServerName?
    /// `ed25519:` and a version.
    public var keyID: String
    /// Base64.
    public var signature: String

    /// Signs a request of ours. `content` is the body as it will be sent, or nothing.
    public init(
        signing method: String, _ uri: String, content: JSONView?, from origin: ServerName,
        to destination: ServerName, keyID: String, key: Ed25519.SigningKey
    ) throws(JSONError) {
        self.origin = origin
        self.destination = destination
        self.keyID = keyID
        let bytes = try Self.signedBytes(method, uri, content, origin, destination)
        signature = Base64.encode(key.sign(bytes), .standardUnpadded)
    }

    /// Reads a header. Throws ``Malformed``.
    public init(parsing header: String) throws(Malformed) {
        let parameters = try Self.parameters(header)
        func name(_ text: String?) throws(Malformed) -> ServerName? {
            guard let text else { return nil }
            do { return try ServerName(text) } catch { throw Malformed(reason: "not a server name") }
        }
        guard let origin = try name(parameters["origin"]), let key = parameters["key"],
            let signature = parameters["sig"] ?? parameters["signature"]
        else { throw Malformed(reason: "origin, key or sig is missing") }
        self.origin = origin
        destination = try name(parameters["destination"])
        keyID = key
        self.signature = signature
    }

    /// The header's value.
    public var header: String {
        var text = "X-Matrix origin=\"\(origin.text)\""
        if let destination { text += ",destination=\"\(destination.text)\"" }
        return text + ",key=\"\(keyID)\",sig=\"\(signature)\""
    }

    /// Whether this is the signature of a request by `key`.
    public func verifies(
        _ method: String, _ uri: String, content: JSONView?, to receiver: ServerName, key: Ed25519.PublicKey
    ) -> Bool {
        guard let signature = Base64.decode(signature),
            let bytes = try? Self.signedBytes(method, uri, content, origin, destination == nil ? nil : receiver)
        else { return false }
        return key.verifies(signature, of: bytes)
    }

    /// The canonical JSON that is signed. Object members in the order of their keys.
    private static func signedBytes(
        _ method: String, _ uri: String, _ content: JSONView?, _ origin: ServerName, _ destination: ServerName?
    ) throws(JSONError) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        if let content {
            writer.key("content")
            writer.raw(try CanonicalJSON.encode(content, strict: false))
        }
        if let destination {
            writer.key("destination")
            writer.string(destination.text)
        }
        writer.key("method")
        writer.string(method)
        writer.key("origin")
        writer.string(origin.text)
        writer.key("uri")
        writer.string(uri)
        writer.endObject()
        return writer.bytes
    }

    /// The parameters of the header by lower-case name. Source: RFC 9110, section 11.4.
    private static func parameters(_ header: String) throws(Malformed) -> [String: String] {
        let bytes = Array(header.utf8)
        guard bytes.count <= FederationLimits.authorizationBytes else { throw Malformed(reason: "too long") }
        var index = 0
        func skipBlanks() {
            while index < bytes.count, bytes[index] == 0x20 || bytes[index] == 0x09 { index += 1 }
        }
        let scheme = "x-matrix"
        guard header.utf8.count > scheme.utf8.count, header.prefix(scheme.count).lowercased() == scheme,
            bytes[scheme.utf8.count] == 0x20
        else { throw Malformed(reason: "not the X-Matrix scheme") }
        index = scheme.utf8.count
        var found: [String: String] = [:]
        while true {
            while index < bytes.count, [0x20, 0x09, 0x2C].contains(bytes[index]) { index += 1 }
            if index >= bytes.count { return found }
            guard found.count < FederationLimits.authorizationParameters else {
                throw Malformed(reason: "too many parameters")
            }
            let nameStart = index
            while index < bytes.count, ![0x3D, 0x20, 0x09, 0x2C].contains(bytes[index]) { index += 1 }
            let name = String(decoding: bytes[nameStart..<index], as: UTF8.self).lowercased()
            skipBlanks()
            guard index < bytes.count, bytes[index] == 0x3D else { throw Malformed(reason: "a parameter has no value") }
            index += 1
            skipBlanks()
            var value: [UInt8] = []
            if index < bytes.count, bytes[index] == 0x22 {
                index += 1
                var isClosed = false
                while index < bytes.count {
                    if bytes[index] == 0x22 {
                        isClosed = true
                        index += 1
                        break
                    }
                    if bytes[index] == 0x5C {
                        index += 1
                        guard index < bytes.count else { break }
                    }
                    value.append(bytes[index])
                    index += 1
                }
                guard isClosed else { throw Malformed(reason: "a quote is not closed") }
            } else {
                while index < bytes.count, ![0x20, 0x09, 0x2C].contains(bytes[index]) {
                    value.append(bytes[index])
                    index += 1
                }
            }
            guard found[name] == nil else { throw Malformed(reason: "a parameter is said twice") }
            found[name] = String(decoding: value, as: UTF8.self)
        }
    }
}
