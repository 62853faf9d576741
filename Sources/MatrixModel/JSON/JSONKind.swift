/// What a JSON value is. An `integer` is a number without fraction and exponent that fits 64 bits; other numbers are
/// `number`.
public enum JSONKind: UInt8, Sendable, Hashable {
    case null, bool, integer, number, string, array, object
}
