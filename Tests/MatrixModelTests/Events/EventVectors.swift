import MatrixModel

/// The published vectors about events, from `spec/vectors`.
enum EventVectors {
    static let eventIDs = load("event-ids")
    static let events = load("events")
    static let redaction = load("redaction")
    static let roomVersions = load("room-versions")
    static let signing = load("signing")

    private static func load(_ name: String) -> JSONValue {
        guard let document = try? specificationVectors("\(name)/\(name).json") else { return .null }
        return document.root.value
    }

    /// A list within a vector file; where there is none, something that no test can use.
    static func list(_ vectors: JSONValue, _ key: String) -> [JSONValue] {
        let list = vectors[key]?.elements ?? []
        return list.isEmpty ? [.null] : list
    }
}

extension JSONValue {
    var document: JSONDocument {
        get throws { try JSONDocument(serialized()) }
    }
}
