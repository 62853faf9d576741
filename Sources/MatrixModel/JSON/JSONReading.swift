/// A field of an object that is missing or not what it should be.
public struct MalformedField: Error, Hashable, Sendable, CustomStringConvertible {
    /// The key, or keys with dots between them.
    public let path: String
    /// What should have been there, for a person: "a string".
    public let expected: String

    /// A field and what it should have been.
    public init(_ path: String, expected: String) {
        self.path = path
        self.expected = expected
    }

    /// The path and what was expected; nothing of the value.
    public var description: String { "\(path) is not \(expected)" }
}

/// What `JSONView` and `JSONValue` have in common: reading field by field, so that one malformed field fails only the
/// rule that asks for it.
public protocol JSONReading: Sendable {
    /// What the value is.
    var kind: JSONKind { get }
    /// The value of a key; `nil` if this is no object or has no such key.
    subscript(_ key: String) -> Self? { get }
    /// The string; `nil` if it is something else.
    var string: String? { get }
    /// The integer; `nil` if it is something else, has a fraction or exponent, or does not fit.
    var integer: Int64? { get }
    /// The boolean; `nil` if it is something else.
    var bool: Bool? { get }
    /// The number, integer or not; `nil` if it is something else.
    var double: Double? { get }
    /// The elements of an array; empty if it is something else.
    var elements: [Self] { get }
    /// How many elements or keys; 0 if it is something else.
    var count: Int { get }
    /// The keys and values of an object, the last of those that occur twice; empty if it is something else.
    var members: [(key: String, value: Self)] { get }
}

extension JSONReading {
    /// Whether it is `null`.
    public var isNull: Bool { kind == .null }

    /// Whether it is an object.
    public var isObject: Bool { kind == .object }

    /// Whether it is an array.
    public var isArray: Bool { kind == .array }

    /// The elements; `nil` if it is no array.
    public var array: [Self]? { isArray ? elements : nil }

    /// The value below several keys.
    public subscript(_ first: String, _ second: String, _ more: String...) -> Self? {
        var value = self[first]?[second]
        for key in more { value = value?[key] }
        return value
    }

    /// The value below a list of keys, itself if there are none.
    public subscript(path keys: [String]) -> Self? {
        var value: Self? = self
        for key in keys { value = value?[key] }
        return value
    }

    /// A field that must be a string.
    public func requiredString(_ key: String) throws(MalformedField) -> String {
        guard let value = self[key]?.string else { throw MalformedField(key, expected: "a string") }
        return value
    }

    /// A field that must be an integer.
    public func requiredInteger(_ key: String) throws(MalformedField) -> Int64 {
        guard let value = self[key]?.integer else { throw MalformedField(key, expected: "an integer") }
        return value
    }

    /// A field that must be a boolean.
    public func requiredBool(_ key: String) throws(MalformedField) -> Bool {
        guard let value = self[key]?.bool else { throw MalformedField(key, expected: "a boolean") }
        return value
    }

    /// A field that must be an object.
    public func requiredObject(_ key: String) throws(MalformedField) -> Self {
        guard let value = self[key], value.isObject else { throw MalformedField(key, expected: "an object") }
        return value
    }

    /// A field that must be an array.
    public func requiredArray(_ key: String) throws(MalformedField) -> [Self] {
        guard let value = self[key]?.array else { throw MalformedField(key, expected: "an array") }
        return value
    }

    /// A field that must be an array of strings.
    public func requiredStrings(_ key: String) throws(MalformedField) -> [String] {
        var strings: [String] = []
        for element in try requiredArray(key) {
            guard let string = element.string else { throw MalformedField(key, expected: "an array of strings") }
            strings.append(string)
        }
        return strings
    }

    /// A field that may be missing, but else is a string.
    public func optionalString(_ key: String) throws(MalformedField) -> String? {
        self[key] == nil ? nil : try requiredString(key)
    }

    /// A field that may be missing, but else is an integer.
    public func optionalInteger(_ key: String) throws(MalformedField) -> Int64? {
        self[key] == nil ? nil : try requiredInteger(key)
    }

    /// A field that may be missing, but else is a boolean.
    public func optionalBool(_ key: String) throws(MalformedField) -> Bool? {
        self[key] == nil ? nil : try requiredBool(key)
    }

    /// A field that may be missing, but else is an object.
    public func optionalObject(_ key: String) throws(MalformedField) -> Self? {
        self[key] == nil ? nil : try requiredObject(key)
    }

    /// A field that may be missing, but else is an array.
    public func optionalArray(_ key: String) throws(MalformedField) -> [Self]? {
        self[key] == nil ? nil : try requiredArray(key)
    }

    /// A field that may be missing, but else is an array of strings.
    public func optionalStrings(_ key: String) throws(MalformedField) -> [String]? {
        self[key] == nil ? nil : try requiredStrings(key)
    }

    /// A field that must be an identifier of this kind.
    public func requiredIdentifier<ID: MatrixIdentifier>(_ key: String, as type: ID.Type = ID.self)
        throws(MalformedField) -> ID
    {
        let text = try requiredString(key)
        do { return try ID(text) } catch { throw MalformedField(key, expected: error.rule) }
    }

    /// A field that may be missing, but else is an identifier of this kind.
    public func optionalIdentifier<ID: MatrixIdentifier>(_ key: String, as type: ID.Type = ID.self)
        throws(MalformedField) -> ID?
    {
        self[key] == nil ? nil : try requiredIdentifier(key, as: type)
    }
}
