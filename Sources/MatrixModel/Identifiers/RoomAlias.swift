/// A name of a room that people can read: `#localpart:server`.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#room-aliases>
public struct RoomAlias: MatrixIdentifier {
    public let text: String
    /// What stands between the sigil and the first colon.
    public let localpart: String
    /// The server that knows the room.
    public let serverName: ServerName

    public init(_ text: String) throws(InvalidIdentifier) {
        let rule = "a room alias"
        let (localpart, domain) = try IdentifierGrammar.split(text, sigil: 0x23, rule: rule)
        serverName = try IdentifierGrammar.server(domain, of: text, rule: rule)
        self.localpart = String(localpart)
        self.text = text
    }
}
