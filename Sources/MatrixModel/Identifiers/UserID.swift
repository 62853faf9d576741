/// A user: `@localpart:server`. Localparts of any Unicode, even empty ones, are accepted, for they exist in rooms;
/// those we hand out are checked by `init(newLocalpart:server:)`.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#user-identifiers>
public struct UserID: MatrixIdentifier {
    public let text: String
    /// What stands between the sigil and the first colon.
    public let localpart: String
    /// The server the account is on.
    public let serverName: ServerName

    public init(_ text: String) throws(InvalidIdentifier) {
        let rule = "a user ID"
        let (localpart, domain) = try IdentifierGrammar.split(text, sigil: 0x40, rule: rule)
        serverName = try IdentifierGrammar.server(domain, of: text, rule: rule)
        self.localpart = String(localpart)
        self.text = text
    }

    /// The ID of a new account: `[a-z0-9._=/+-]+`, at most 255 bytes with the server.
    public init(newLocalpart localpart: String, server: ServerName) throws(InvalidIdentifier) {
        let text = "@\(localpart):\(server.text)"
        guard !localpart.isEmpty, localpart.utf8.allSatisfy(Self.isCompliant) else {
            throw InvalidIdentifier(text: text, rule: "a user ID of a-z, 0-9 and ._=-/+")
        }
        try self.init(text)
    }

    /// Whether the localpart could not be given to a new account.
    /// Spec: <https://spec.matrix.org/v1.19/appendices/#historical-user-ids>
    public var isHistorical: Bool { localpart.isEmpty || !localpart.utf8.allSatisfy(Self.isCompliant) }

    /// Whether the ID should not be shown to clients outside an event: empty, or with bytes outside `!` to `~`.
    /// Spec: <https://spec.matrix.org/v1.19/appendices/#historical-user-ids>
    public var isNonCompliant: Bool { localpart.isEmpty || !localpart.utf8.allSatisfy { (0x21...0x7E).contains($0) } }

    private static func isCompliant(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x61...0x7A, 0x30...0x39, 0x2E, 0x5F, 0x3D, 0x2D, 0x2F, 0x2B: true
        default: false
        }
    }

    /// A localpart for any name, as the specification suggests: lower case, other bytes as `=` and two digits.
    /// Spec: <https://spec.matrix.org/v1.19/appendices/#mapping-from-other-character-sets>
    public static func localpart(for name: String, keepingCase: Bool = false) -> String {
        var bytes: [UInt8] = []
        for byte in name.utf8 {
            switch byte {
            case 0x41...0x5A:
                if keepingCase { bytes.append(0x5F) }
                bytes.append(byte + 0x20)
            case 0x5F where keepingCase: bytes.append(contentsOf: [0x5F, 0x5F])
            case 0x3D: bytes.append(contentsOf: "=3d".utf8)
            case _ where isCompliant(byte): bytes.append(byte)
            default:
                bytes.append(contentsOf: byte < 0x10 ? "=0".utf8 : "=".utf8)
                bytes.append(contentsOf: String(byte, radix: 16).utf8)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
