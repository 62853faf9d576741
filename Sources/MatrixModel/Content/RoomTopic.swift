/// `m.room.topic`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomtopic>
public struct RoomTopic: Sendable {
    private let content: JSONView

    /// The content of the event.
    public init(_ content: JSONView) { self.content = content }

    /// What is said as plain text: the first representation of it in `m.topic`, else `topic`. Nil where `m.topic` has only
    /// others.
    public var plainText: String? {
        guard let representations = content["m.topic"]?["m.text"]?.array, !representations.isEmpty else {
            return content["topic"]?.string
        }
        return blockText
    }

    /// The plain text of `m.topic`.
    public var blockText: String? {
        content["m.topic"]?["m.text"]?.array?.first { block in
            block["mimetype"]?.string.map { $0 == "text/plain" } ?? true
        }?["body"]?.string
    }
}
