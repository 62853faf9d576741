/// An event: `$opaque:server` in room versions 1 and 2, `$` and the event's reference hash from 3 on.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#event-ids>
public struct EventID: MatrixIdentifier {
    public let text: String

    public init(_ text: String) throws(InvalidIdentifier) {
        let bytes = text.utf8
        guard bytes.first == 0x24, (2...IdentifierGrammar.maximumBytes).contains(bytes.count), !bytes.contains(0)
        else { throw InvalidIdentifier(text: text, rule: "an event ID") }
        self.text = text
    }

    /// The server that made the name, in room versions 1 and 2.
    public var serverName: ServerName? {
        guard let colon = text.utf8.firstIndex(of: 0x3A) else { return nil }
        return try? ServerName(String(text[text.utf8.index(after: colon)...]))
    }
}
