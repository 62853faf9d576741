public import MatrixModel

/// What the media program is told. Requests have numbers; the description that answers one bears it.
public enum MediaCommand: Sendable, Hashable {
    /// A call begins: make a peer connection. One that there was for another call is replaced, camera and microphone kept.
    case start(isCaller: Bool, servers: [ICEServer])
    /// Make an offer. `holding`: the other side is to be sent nothing.
    case createOffer(request: Int64, holding: Bool)
    /// Take the other side's description; answer an offer. `rollback`: give up an offer of yours first.
    case setRemote(
        request: Int64, SessionDescription, streams: [String: StreamMetadata]?, rollback: Bool, holding: Bool)
    /// Give up an offer that was not answered in time, yours or theirs.
    case rollback
    /// Take the other side's candidates.
    case addCandidates([ICECandidate])
    /// What the other side says about its streams.
    case streams([String: StreamMetadata])
    /// New credentials for the ICE servers.
    case iceServers([ICEServer])
    /// The call is over: close everything and end.
    case stop

    /// The line that the program reads.
    public func json(for call: CallID) -> JSONValue {
        var line: JSONValue =
            switch self {
            case .start(let isCaller, let servers):
                [
                    "type": "start", "role": .string(isCaller ? "caller" : "callee"), "polite": .bool(!isCaller),
                    "ice_servers": .array(servers.map(\.json)),
                ]
            case .createOffer(let request, let holding):
                ["type": "create_offer", "request": .integer(request), "hold": .bool(holding)]
            case .setRemote(let request, let description, let streams, let rollback, let holding):
                .fields([
                    "type": "remote_description", "request": .integer(request), "description": description.json,
                    "streams": streams?.streamsJSON ?? .null, "rollback": .bool(rollback), "hold": .bool(holding),
                ])
            case .rollback: ["type": "rollback"]
            case .addCandidates(let candidates):
                ["type": "candidates", "candidates": .array(candidates.map(\.json))]
            case .streams(let streams): ["type": "streams", "streams": streams.streamsJSON]
            case .iceServers(let servers): ["type": "ice_servers", "ice_servers": .array(servers.map(\.json))]
            case .stop: ["type": "stop"]
            }
        line["v"] = 1
        line["call_id"] = .string(call.text)
        return line
    }
}
