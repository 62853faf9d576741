/// A JSON value that can be built and changed. Where bytes matter, as in what others signed, use `JSONView`: a
/// dictionary forgets the order of keys and takes canonically equivalent spellings of a key for the same one, and a
/// `Double` forgets how it was written.
public indirect enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue {
    /// A copy of a view. Its depth is bounded by the limits of the view's document.
    public init(_ view: JSONView) {
        switch view.kind {
        case .null: self = .null
        case .bool: self = .bool(view.bool ?? false)
        case .integer: self = .integer(view.integer ?? 0)
        case .number: self = .number(view.double ?? 0)
        case .string: self = .string(view.string ?? "")
        case .array: self = .array(view.elements.map(JSONValue.init))
        case .object:
            var object: [String: JSONValue] = [:]
            let members = view.members
            object.reserveCapacity(members.count)
            for (key, value) in members { object[key] = JSONValue(value) }
            self = .object(object)
        }
    }

    /// Reads a text, with the default limits.
    public static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        JSONValue(try JSONDocument(bytes).root)
    }

    /// The value as text, without spaces, keys sorted by their bytes.
    public func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }

    /// An object of the fields that are not `nil`.
    public static func fields(_ fields: KeyValuePairs<String, JSONValue?>) -> JSONValue {
        var object: [String: JSONValue] = [:]
        for (key, value) in fields { if let value { object[key] = value } }
        return .object(object)
    }
}

extension JSONValue: JSONReading {
    public var kind: JSONKind {
        switch self {
        case .null: .null
        case .bool: .bool
        case .integer: .integer
        case .number: .number
        case .string: .string
        case .array: .array
        case .object: .object
        }
    }

    /// The value of a key. Setting it on something that is no object makes it one; setting `nil` removes the key.
    public subscript(_ key: String) -> JSONValue? {
        get {
            if case .object(let object) = self { object[key] } else { nil }
        }
        set {
            guard case .object(var object) = self else {
                if let newValue { self = .object([key: newValue]) }
                return
            }
            self = .null
            object[key] = newValue
            self = .object(object)
        }
    }

    public var string: String? { if case .string(let string) = self { string } else { nil } }

    public var integer: Int64? { if case .integer(let integer) = self { integer } else { nil } }

    public var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }

    public var double: Double? {
        switch self {
        case .integer(let integer): Double(integer)
        case .number(let double): double
        default: nil
        }
    }

    public var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }

    public var count: Int {
        switch self {
        case .array(let elements): elements.count
        case .object(let object): object.count
        default: 0
        }
    }

    /// The keys and values of an object, sorted by the bytes of the keys.
    public var members: [(key: String, value: JSONValue)] {
        guard case .object(let object) = self else { return [] }
        return object.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// The dictionary; `nil` if it is no object.
    public var object: [String: JSONValue]? { if case .object(let object) = self { object } else { nil } }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByStringInterpolation,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(nilLiteral: ()) { self = .null }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
    public init(floatLiteral value: Double) { self = .number(value) }
    public init(stringLiteral value: String) { self = .string(value) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }

    /// A key that stands twice keeps the last value.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements) { $1 })
    }
}
