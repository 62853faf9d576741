/// A value within a `JSONDocument`: two words that keep the document alive. Nothing is decoded before it is asked for.
public struct JSONView: JSONReading {
    let storage: JSONStorage
    let index: Int

    private var node: JSONNode { storage.nodes[index] }

    public var kind: JSONKind { node.kind }

    public subscript(_ key: String) -> JSONView? {
        storage.find(key, in: index).map { JSONView(storage: storage, index: $0) }
    }

    public var string: String? { kind == .string ? storage.string(index) : nil }

    public var integer: Int64? { kind == .integer ? storage.integer(index) : nil }

    public var bool: Bool? { kind == .bool ? node.tag & JSONNode.isTrue != 0 : nil }

    /// The number, integer or not; `nil` if it is something else. Infinite if the text names a number too large.
    public var double: Double? {
        switch kind {
        case .integer: storage.integer(index).map(Double.init)
        case .number: Double(String(decoding: rawBytes, as: UTF8.self))
        default: nil
        }
    }

    public var count: Int { node.isObject ? storage.keys(of: index).count : node.isContainer ? node.childCount : 0 }

    public var elements: [JSONView] {
        guard kind == .array else { return [] }
        var elements: [JSONView] = []
        elements.reserveCapacity(node.childCount)
        var position = index + 1
        for _ in 0..<node.childCount {
            elements.append(JSONView(storage: storage, index: position))
            position = storage.nodes[position].next(after: position)
        }
        return elements
    }

    public var members: [(key: String, value: JSONView)] {
        guard kind == .object else { return [] }
        return storage.keys(of: index).map {
            (storage.string($0), JSONView(storage: storage, index: $0 + 1))
        }
    }

    /// The bytes of this value as they came: strings with their quotes, containers with their brackets.
    public var rawBytes: ArraySlice<UInt8> { storage.bytes[node.start..<node.end] }

    /// A copy that stands on its own.
    public var value: JSONValue { JSONValue(self) }

    /// Whether this object itself, not one below it, has a key twice.
    public var hasDuplicateKeys: Bool { node.isObject && node.hasDuplicates }
}
