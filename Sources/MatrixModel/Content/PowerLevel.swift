/// How much somebody may do in a room, and how much is needed for something.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels>
public enum PowerLevel: Sendable, Hashable, Comparable, CustomStringConvertible {
    case level(Int64)
    /// Above every number: a creator of a room from version 12 on.
    case creator

    public var description: String {
        switch self {
        case .level(let level): "\(level)"
        case .creator: "creator"
        }
    }

    /// Reads a level as the room version lets it be written; `nil` where it is something else.
    public init?(_ value: some JSONReading, format: AuthorizationRules.PowerLevelFormat) {
        switch (value.kind, format) {
        case (.integer, _):
            guard let level = value.integer else { return nil }
            self = .level(level)
        case (.string, .integersOrStrings), (.string, .integersStringsOrFloats):
            guard let level = value.string.flatMap(Self.parse) else { return nil }
            self = .level(level)
        case (.number, .integersStringsOrFloats):
            // "The value is truncated at the decimal point." "Values outside the range represented by a double" are none.
            guard let number = value.double, number.isFinite else { return nil }
            self = .level(Int64(exactly: number.rounded(.towardZero)) ?? (number < 0 ? Int64.min : Int64.max))
        default: return nil
        }
    }

    /// "A single base 10 integer", leading zeroes, one sign and blanks around it allowed. One beyond all that are told
    /// apart here counts as the last of these, as a number does.
    /// Spec: <https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-strings>
    private static func parse(_ text: String) -> Int64? {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        let bytes = Array(text.utf8)
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return nil }
        var digits = bytes[first...last]
        let isNegative = digits.first == UInt8(ascii: "-")
        if isNegative || digits.first == UInt8(ascii: "+") { digits = digits.dropFirst() }
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let magnitude = Int64(String(decoding: digits, as: UTF8.self)) ?? .max
        return isNegative ? -magnitude : magnitude
    }
}
