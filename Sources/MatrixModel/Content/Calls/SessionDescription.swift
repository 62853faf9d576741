/// An `RTCSessionDescriptionInit`. Its SDP tells addresses and keys, so it has no part in any description.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallinvite>
public struct SessionDescription: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// What the description is.
    public enum Kind: String, Sendable, Hashable {
        case offer, answer
    }

    /// The `type`.
    public let kind: Kind
    /// The SDP's text, at most ``CallContentLimits/sdpBytes``.
    public let sdp: String

    /// A description of ours.
    public init(_ kind: Kind, sdp: String) {
        self.kind = kind
        self.sdp = sdp
    }

    /// Reads the object below `key`. Its `type` is not to be validated in an invite or an answer, where it can be but one:
    /// `kind` is taken there, so that no other (`rollback`) gets to WebRTC.
    init(_ content: some JSONReading, _ key: String, as kind: Kind?) throws(MalformedField) {
        let object = try content.requiredObject(key)
        let sdp = try object.requiredString("sdp")
        guard !sdp.isEmpty, sdp.utf8.count <= CallContentLimits.sdpBytes else {
            throw MalformedField("\(key).sdp", expected: "1 to \(CallContentLimits.sdpBytes) bytes")
        }
        self.sdp = sdp
        if let kind {
            self.kind = kind
        } else {
            guard let named = Kind(rawValue: try object.requiredString("type")) else {
                throw MalformedField("\(key).type", expected: "offer or answer")
            }
            self.kind = named
        }
    }

    /// As WebRTC takes it.
    public var json: JSONValue { ["type": .string(kind.rawValue), "sdp": .string(sdp)] }

    /// Without the SDP.
    public var description: String { "\(kind.rawValue) …" }
    /// Without the SDP.
    public var debugDescription: String { description }
}
