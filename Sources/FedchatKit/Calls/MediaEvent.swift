public import MatrixModel

/// What the media program says about a call.
public enum MediaEvent: Sendable, Hashable {
    /// The connection's state, as WebRTC has it; `new` and `closed` are not told.
    public enum ConnectionState: String, Sendable, Hashable {
        case connecting, connected, disconnected, failed
    }

    /// The offer that was asked for, or the answer to the other side's.
    case description(request: Int64, SessionDescription, streams: [String: StreamMetadata]?)
    /// Candidates that no description held.
    case candidates([ICECandidate])
    case connection(ConnectionState)
    /// An offer should be made.
    case negotiationNeeded
    /// The streams are muted otherwise than before.
    case streams([String: StreamMetadata])
    /// The user ends the call.
    case hangUp
    /// The program cannot go on.
    case failed
    /// The program has ended, or said what cannot be read.
    case gone

    /// Reads a line of the program. Throws for what the protocol does not have; nil for what is only to be shown.
    public init?(_ line: some JSONReading) throws(MalformedField) {
        guard try line.requiredInteger("v") == 1 else { throw MalformedField("v", expected: "1") }
        func streams() throws(MalformedField) -> [String: StreamMetadata]? {
            guard let streams = line["streams"], !streams.isNull else { return nil }
            return try [String: StreamMetadata](streams: streams)
        }
        switch try line.requiredString("type") {
        case "description":
            let object = try line.requiredObject("description")
            guard let kind = SessionDescription.Kind(rawValue: try object.requiredString("type")) else {
                throw MalformedField("description.type", expected: "offer or answer")
            }
            let sdp = try object.requiredString("sdp")
            guard !sdp.isEmpty, sdp.utf8.count <= CallContentLimits.sdpBytes else {
                throw MalformedField("description.sdp", expected: "1 to \(CallContentLimits.sdpBytes) bytes")
            }
            self = .description(
                request: try line.requiredInteger("request"), SessionDescription(kind, sdp: sdp),
                streams: try streams())
        case "candidates":
            var candidates: [ICECandidate] = []
            for each in try line.requiredArray("candidates").prefix(ClientLimits.candidatesOfOneSide) {
                candidates.append(try ICECandidate(each))
            }
            self = .candidates(candidates)
        case "state":
            guard let state = ConnectionState(rawValue: try line.requiredString("state")) else {
                throw MalformedField("state", expected: "connecting, connected, disconnected or failed")
            }
            self = .connection(state)
        case "negotiation_needed": self = .negotiationNeeded
        case "streams":
            guard let streams = try streams() else { throw MalformedField("streams", expected: "an object") }
            self = .streams(streams)
        case "hangup": self = .hangUp
        case "failed": self = .failed
        case "note": return nil
        default: throw MalformedField("type", expected: "a type of the protocol")
        }
    }
}
