public import MatrixModel

/// The text of an event that can be searched for.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#room_events>
public struct SearchableText: Sendable, Hashable {
    /// Which key holds the text.
    public enum Kind: String, Sendable, CaseIterable {
        case body = "content.body"
        case name = "content.name"
        case topic = "content.topic"

        /// The type of the events that have it.
        public var type: EventType {
            switch self {
            case .body: .message
            case .name: .name
            case .topic: .topic
            }
        }

        /// The kind of an event's text.
        init?(_ event: PDU) {
            guard let kind = Self.allCases.first(where: { $0.type == event.type }),
                event.isState ? kind != .body && event.stateKey == "" : kind == .body
            else { return nil }
            self = kind
        }

        var facet: String {
            switch self {
            case .body: "body"
            case .name: "name"
            case .topic: "topic"
            }
        }
    }

    public var kind: Kind
    public var text: String

    /// The text of an event; nil where it has none.
    /// - Parameter edit: the newest edit of it.
    public init?(_ event: PDU, edit: PDU? = nil) {
        guard let kind = Kind(event), Relation(event.content)?.type != Relation.replace || event.isState else {
            return nil
        }
        let content = edit?.content["m.new_content"] ?? event.content
        let texts: [String?] =
            switch kind {
            case .body: [content["body"]?.string]
            case .name: [content["name"]?.string]
            case .topic: [content["topic"]?.string, RoomTopic(content).blockText]
            }
        var parts = texts.compactMap(\.self)
        if parts.count == 2, parts[0] == parts[1] { parts.removeLast() }
        let text = parts.joined(separator: "\n")
        guard !text.isEmpty else { return nil }
        self.kind = kind
        self.text = text
    }

}
