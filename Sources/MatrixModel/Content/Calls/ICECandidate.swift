/// An `RTCIceCandidateInit`. It tells addresses, so it has no part in any description.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallcandidates>
public struct ICECandidate: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// The SDP's `a` line; empty says that no more will come.
    public let candidate: String
    /// The SDP's media it is for.
    public let sdpMid: String?
    /// The number of the SDP's `m` line it is for.
    public let sdpMLineIndex: Int64?
    /// Which of several ICE sessions it belongs to; not in the specification, but WebRTC gives it.
    public let usernameFragment: String?

    /// No more candidates will come.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#end-of-candidates>
    public static let end = ICECandidate(candidate: "", sdpMid: nil, sdpMLineIndex: nil, usernameFragment: nil)

    /// Whether this one says that no more will come.
    public var isEnd: Bool { candidate.isEmpty }

    init(candidate: String, sdpMid: String?, sdpMLineIndex: Int64?, usernameFragment: String?) {
        self.candidate = candidate
        self.sdpMid = sdpMid
        self.sdpMLineIndex = sdpMLineIndex
        self.usernameFragment = usernameFragment
    }

    /// Reads an object; what is `null` counts as missing, as WebRTC writes it so.
    public init(_ object: some JSONReading) throws(MalformedField) {
        candidate = try object.requiredString("candidate")
        sdpMid = object["sdpMid"]?.isNull == false ? try object.requiredString("sdpMid") : nil
        usernameFragment =
            object["usernameFragment"]?.isNull == false ? try object.requiredString("usernameFragment") : nil
        if let index = object["sdpMLineIndex"], !index.isNull {
            // The schema says "number": 0.0 is one.
            guard let number = index.double, (0...255).contains(number), number == number.rounded() else {
                throw MalformedField("sdpMLineIndex", expected: "a number from 0 to 255")
            }
            sdpMLineIndex = Int64(number)
        } else {
            sdpMLineIndex = nil
        }
        let limit = CallContentLimits.candidateBytes
        guard [candidate, sdpMid ?? "", usernameFragment ?? ""].allSatisfy({ $0.utf8.count <= limit }) else {
            throw MalformedField("candidate", expected: "at most \(limit) bytes")
        }
        guard isEnd || sdpMid != nil || sdpMLineIndex != nil else {
            throw MalformedField("sdpMid", expected: "there, unless sdpMLineIndex is")
        }
    }

    /// As WebRTC takes it.
    public var json: JSONValue {
        .fields([
            "candidate": .string(candidate), "sdpMid": sdpMid.map { .string($0) },
            "sdpMLineIndex": sdpMLineIndex.map { .integer($0) },
            "usernameFragment": usernameFragment.map { .string($0) },
        ])
    }

    /// Without the candidate.
    public var description: String { isEnd ? "end of candidates" : "candidate …" }
    /// Without the candidate.
    public var debugDescription: String { description }
}
