internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// What is wrong with a request, as its reply says it.
struct PeerError: Error {
    let kind: String
    let message: String

    static func bad(_ message: String) -> PeerError { PeerError(kind: "BadRequest", message: message) }
}

/// One request's fields. Binary ones are base64.
struct PeerRequest {
    let fields: JSONValue

    func text(_ name: String) throws(PeerError) -> String {
        guard let text = fields[name]?.string else { throw .bad("\(name) is not a text") }
        return text
    }

    func bytes(_ name: String) throws(PeerError) -> [UInt8] {
        guard let bytes = Base64.decode(try text(name)) else { throw .bad("\(name) is not base64") }
        return bytes
    }

    func integer(_ name: String) throws(PeerError) -> Int {
        guard let integer = fields[name]?.integer, let value = Int(exactly: integer) else {
            throw .bad("\(name) is not an integer")
        }
        return value
    }

    /// "truncated", also where nothing is said, or "full".
    func form() throws(PeerError) -> MACForm {
        switch fields["form"]?.string {
        case nil, "truncated": return .truncated
        case "full": return .full
        default: throw .bad("form is neither truncated nor full")
        }
    }

    func curveKey(_ name: String) throws -> Curve25519.PublicKey { try Curve25519.PublicKey(bytes(name)) }
}

extension JSONValue {
    /// Unpadded base64.
    static func base64(_ bytes: [UInt8]) -> JSONValue { .string(Base64.encode(bytes)) }
}
