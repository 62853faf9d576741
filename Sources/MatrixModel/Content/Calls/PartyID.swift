public import Cryptography

/// One client that takes part in a call; a party is it and its user.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#party-identifiers>
public struct PartyID: MatrixIdentifier {
    public let text: String

    public init(_ text: String) throws(InvalidIdentifier) {
        guard IdentifierGrammar.isOpaque(text) else { throw InvalidIdentifier(text: text, rule: "a party ID") }
        self.text = text
    }

    /// A new one, which nobody else chooses.
    public init(random: any RandomSource) { text = random.token(16) }
}
