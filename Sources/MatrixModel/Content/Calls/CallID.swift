public import Cryptography

/// A call in a room.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#grammar-for-voip-ids>
public struct CallID: MatrixIdentifier {
    public let text: String

    public init(_ text: String) throws(InvalidIdentifier) {
        guard IdentifierGrammar.isOpaque(text) else { throw InvalidIdentifier(text: text, rule: "a call ID") }
        self.text = text
    }

    /// A new one, which nobody else chooses.
    public init(random: any RandomSource) { text = random.token(24) }
}
