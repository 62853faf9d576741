/// A room. `!opaque:server` up to room version 11; from 12 the create event's reference hash, without a server.
/// Never split one: whom to ask about a room is said elsewhere.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#room-ids>
public struct RoomID: MatrixIdentifier {
    public let text: String
    /// The server that made the name, where the ID holds one. It need not be in the room.
    public let serverName: ServerName?

    public init(_ text: String) throws(InvalidIdentifier) {
        let rule = "a room ID"
        let (opaque, domain) = try IdentifierGrammar.split(text, sigil: 0x21, rule: rule)
        if let domain {
            serverName = try IdentifierGrammar.server(domain, of: text, rule: rule)
        } else {
            guard !opaque.isEmpty, opaque.utf8.allSatisfy(IdentifierGrammar.isURLSafe) else {
                throw InvalidIdentifier(text: text, rule: rule)
            }
            serverName = nil
        }
        self.text = text
    }

    /// Whether this has the form of room version 12: 43 URL-safe characters, a hash.
    public var isHash: Bool { serverName == nil && text.utf8.count == 44 }
}
