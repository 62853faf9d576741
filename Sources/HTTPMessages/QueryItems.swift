/// One `name=value` of a query, decoded.
public struct QueryItem: Hashable, Sendable {
    public var name: String
    public var value: String

    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// The query of a URL: names and values in their order; a name may come again.
public struct QueryItems: Hashable, Sendable, ExpressibleByDictionaryLiteral {
    /// The items in their order.
    public private(set) var items: [QueryItem]

    /// No items.
    public init() {
        items = []
    }

    /// Items in the order given.
    public init(_ items: [QueryItem]) {
        self.items = items
    }

    /// `["dir": "b", "limit": "10"]`.
    public init(dictionaryLiteral elements: (String, String)...) {
        items = elements.map { QueryItem(name: $0.0, value: $0.1) }
    }

    /// Reads `a=b&a=c`, without the question mark. `+` is a space; a name without `=` has an empty value; an item that
    /// is not well percent-encoded, or not UTF-8, is dropped. At most ``HTTPMessageLimits/maximumQueryItems`` are read.
    public init(parsing text: some StringProtocol) {
        items = []
        for part in text.utf8.split(
            separator: UInt8(ascii: "&"), maxSplits: HTTPMessageLimits.maximumQueryItems,
            omittingEmptySubsequences: true
        ).prefix(HTTPMessageLimits.maximumQueryItems) {
            let sides = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = sides.first,
                let name = PercentEncoding.decodeForm(String(decoding: first, as: UTF8.self)),
                let value = PercentEncoding.decodeForm(
                    sides.count > 1 ? String(decoding: sides[1], as: UTF8.self) : "")
            else { continue }
            items.append(QueryItem(name: name, value: value))
        }
    }

    /// The first value of a name.
    public subscript(_ name: String) -> String? {
        items.first { $0.name == name }?.value
    }

    /// All values of a name, in their order.
    public func all(_ name: String) -> [String] {
        items.lazy.filter { $0.name == name }.map(\.value)
    }

    public var isEmpty: Bool { items.isEmpty }

    /// Adds an item at the end.
    public mutating func append(_ name: String, _ value: String) {
        items.append(QueryItem(name: name, value: value))
    }

    /// Adds an item at the end if there is a value.
    public mutating func append(_ name: String, _ value: String?) {
        if let value { append(name, value) }
    }

    /// The items as text, percent-encoded (a space is `%20`, which every server reads), without question mark.
    public var encoded: String {
        items.map { "\(PercentEncoding.encode($0.name))=\(PercentEncoding.encode($0.value))" }.joined(separator: "&")
    }
}
