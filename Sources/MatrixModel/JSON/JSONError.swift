/// Why a text is not the JSON that was asked for, and where.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong.
    public enum Reason: String, Sendable {
        case unexpectedEnd = "the text ends early"
        case unexpectedByte = "a byte that JSON does not allow here"
        case trailingBytes = "bytes after the value"
        case invalidUTF8 = "a string that is not UTF-8"
        case invalidEscape = "an escape that JSON does not know"
        case loneSurrogate = "half of a surrogate pair"
        case controlCharacter = "an unescaped control character"
        case invalidNumber = "a malformed number"
        case tooDeep = "nested too deeply"
        case tooLarge = "too many bytes"
        case tooManyNodes = "too many values"
        case notCanonicalNumber = "a number that canonical JSON does not allow"
    }

    /// What is wrong.
    public let reason: Reason
    /// The byte at which it was noticed; 0 where the value has no text.
    public let offset: Int

    /// An error at a byte.
    public init(_ reason: Reason, at offset: Int) {
        self.reason = reason
        self.offset = offset
    }

    /// The reason and the offset; none of the text.
    public var description: String { "\(reason.rawValue) (byte \(offset))" }
}
