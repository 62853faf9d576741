/// How an event relates to another, as `m.relates_to` says.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events>
public struct Relation: Sendable, Hashable {
    /// The type of an answer in a thread.
    public static let thread = "m.thread"
    /// The type of an edit.
    public static let replace = "m.replace"
    /// The type of a reaction.
    public static let annotation = "m.annotation"
    /// The type of an event that only points at another.
    public static let reference = "m.reference"

    /// `rel_type`, at most 255 bytes.
    public var type: String
    /// The event it relates to, the parent.
    public var target: EventID
    /// The `key` of an annotation.
    public var key: String?

    /// The relation that a content tells; nil when there is none, or none that is well formed.
    public init?(_ content: JSONView) {
        guard let relation = content["m.relates_to"], let type = relation["rel_type"]?.string,
            (1...255).contains(type.utf8.count), let target = relation["event_id"]?.string.flatMap({ try? EventID($0) })
        else { return nil }
        self.type = type
        self.target = target
        key = type == Self.annotation ? relation["key"]?.string : nil
    }
}
