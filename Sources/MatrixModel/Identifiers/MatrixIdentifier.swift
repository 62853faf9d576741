/// Why a text is not the identifier it was meant to be.
public struct InvalidIdentifier: Error, Hashable, Sendable, CustomStringConvertible {
    /// The text, as it came: untrusted.
    public let text: String
    /// What it should have been, for a person: "a user ID".
    public let rule: String

    /// A text and the rule that it breaks.
    public init(text: String, rule: String) {
        self.text = text
        self.rule = rule
    }

    /// The rule, without the text.
    public var description: String { "not \(rule)" }
}

/// A checked name. Two are the same if their bytes are; Swift's own comparison of strings would take different
/// spellings of an accented letter for one.
public protocol MatrixIdentifier: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The identifier as it is written, with its sigil.
    var text: String { get }

    /// Checks the grammar.
    init(_ text: String) throws(InvalidIdentifier)
}

extension MatrixIdentifier {
    /// The text.
    public var description: String { text }

    /// Byte for byte.
    public static func == (left: Self, right: Self) -> Bool {
        let (leftText, rightText) = (left.text.utf8, right.text.utf8)
        guard leftText.count == rightText.count else { return false }
        return leftText.withContiguousStorageIfAvailable { left in
            rightText.withContiguousStorageIfAvailable { right in
                JSONBytes.equal(left.span, 0, right.span, 0, left.count)
            }
        }.flatMap(\.self) ?? leftText.elementsEqual(rightText)
    }

    /// The order of the bytes.
    public static func < (left: Self, right: Self) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    /// Equal bytes have equal hashes.
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// Pieces of the grammars.
enum IdentifierGrammar {
    /// The longest identifier, sigil and domain included.
    /// Spec: <https://spec.matrix.org/v1.19/appendices/#common-identifier-format>
    static let maximumBytes = 255

    /// The text split at the first colon after its sigil, with no NUL in it.
    static func split(_ text: String, sigil: UInt8, rule: String) throws(InvalidIdentifier) -> (
        localpart: Substring, domain: Substring?
    ) {
        let bytes = text.utf8
        guard bytes.first == sigil, bytes.count <= maximumBytes, !bytes.contains(0) else {
            throw InvalidIdentifier(text: text, rule: rule)
        }
        let rest = text.utf8.dropFirst()
        guard let colon = rest.firstIndex(of: 0x3A) else { return (Substring(rest), nil) }
        return (Substring(rest[..<colon]), Substring(rest[rest.index(after: colon)...]))
    }

    /// The server of a text whose domain must be there.
    static func server(_ domain: Substring?, of text: String, rule: String) throws(InvalidIdentifier) -> ServerName {
        guard let domain, let server = try? ServerName(String(domain)) else {
            throw InvalidIdentifier(text: text, rule: rule)
        }
        return server
    }

    /// Spec: <https://spec.matrix.org/v1.19/appendices/#opaque-identifiers>
    static func isOpaque(_ text: String) -> Bool {
        (1...maximumBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { isURLSafe($0) || $0 == 0x2E || $0 == 0x7E }
    }

    /// `[A-Za-z0-9_-]`
    static func isURLSafe(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F: true
        default: false
        }
    }
}
