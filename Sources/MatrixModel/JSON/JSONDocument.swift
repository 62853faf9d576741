/// A JSON text, checked once, with its bytes kept as they came. Reading it creates views, not copies.
public struct JSONDocument: Sendable {
    let storage: JSONStorage

    /// Checks a text: RFC 8259, UTF-8, no lone surrogates, within the limits. Where a key occurs twice the last one
    /// counts, and `hasDuplicateKeys` tells.
    public init(_ bytes: [UInt8], limits: JSONLimits = .default) throws(JSONError) {
        storage = JSONStorage(bytes: bytes, nodes: try JSONParser.parse(bytes, limits: limits))
    }

    /// The outermost value.
    public var root: JSONView { JSONView(storage: storage, index: 0) }

    /// The text as it came.
    public var bytes: [UInt8] { storage.bytes }

    /// Whether an object anywhere in it has a key twice.
    public var hasDuplicateKeys: Bool { storage.nodes.contains { $0.isObject && $0.hasDuplicates } }
}
