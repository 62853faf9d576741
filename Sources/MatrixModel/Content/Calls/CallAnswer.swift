/// `m.call.answer`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallanswer>
public struct CallAnswer: Sendable, Hashable {
    public let answer: SessionDescription
    /// What its streams are; nil: the callee does not say, and knows of one only.
    public let streams: [String: StreamMetadata]?

    /// An answer of ours.
    public init(answer: SessionDescription, streams: [String: StreamMetadata]?) {
        self.answer = answer
        self.streams = streams
    }

    init(_ content: some JSONReading) throws(MalformedField) {
        answer = try SessionDescription(content, "answer", as: .answer)
        streams = try [String: StreamMetadata](callContent: content)
    }
}
