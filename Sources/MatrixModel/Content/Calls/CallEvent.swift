/// An event of a call, with all its fields checked: those of other people's calls are hostile until then.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip>
public struct CallEvent: Sendable, Hashable {
    /// What it says.
    public enum Body: Sendable, Hashable {
        case invite(CallInvite)
        case candidates([ICECandidate])
        case answer(CallAnswer)
        /// The caller has taken the answer, or the rejection, of this party.
        case selectAnswer(PartyID)
        case reject
        case hangup(CallHangupReason)
        case negotiate(CallNegotiate)
        case streamMetadataChanged([String: StreamMetadata])
    }

    /// The call it belongs to.
    public let call: CallID
    /// The client that sent it; nil in version 0, where one that is there does not count.
    public let party: PartyID?
    /// Whether its sender speaks version 0, which knows neither parties nor `reject`, `select_answer` and `negotiate`.
    /// Whatever else the version is counts as `"1"`.
    public let isVersion0: Bool
    public let body: Body

    /// An event of ours, of version 1.
    public init(_ body: Body, call: CallID, party: PartyID) {
        self.body = body
        self.call = call
        self.party = party
        isVersion0 = false
    }

    /// Whether events of this type are about calls, known or not.
    public static func isCallType(_ type: String) -> Bool {
        type.hasPrefix("m.call.") || type.hasPrefix("org.matrix.call.")
    }

    /// Reads an event; nil for a type that is no part of version 1 (`m.call.asserted_identity` and the like).
    public init?(type: String, content: some JSONReading) throws(MalformedField) {
        switch type {
        case "m.call.invite": body = .invite(try CallInvite(content))
        case "m.call.candidates": body = .candidates(try Self.candidates(content))
        case "m.call.answer": body = .answer(try CallAnswer(content))
        case "m.call.select_answer":
            body = .selectAnswer(try content.requiredIdentifier("selected_party_id"))
        case "m.call.reject": body = .reject
        case "m.call.hangup": body = .hangup(CallHangupReason(content))
        case "m.call.negotiate": body = .negotiate(try CallNegotiate(content))
        case "m.call.sdp_stream_metadata_changed", "org.matrix.call.sdp_stream_metadata_changed":
            guard let streams = try [String: StreamMetadata](callContent: content) else {
                throw MalformedField("sdp_stream_metadata", expected: "an object")
            }
            body = .streamMetadataChanged(streams)
        default: return nil
        }
        call = try content.requiredIdentifier("call_id")
        guard let version = content["version"] else { throw MalformedField("version", expected: "a string, or 0") }
        isVersion0 = version.integer == 0
        party = isVersion0 ? nil : try content.requiredIdentifier("party_id", as: PartyID.self)
    }

    /// One candidate that is malformed does not make the others useless.
    private static func candidates(_ content: some JSONReading) throws(MalformedField) -> [ICECandidate] {
        let list = try content.requiredArray("candidates")
        guard list.count <= CallContentLimits.candidatesPerEvent else {
            throw MalformedField("candidates", expected: "at most \(CallContentLimits.candidatesPerEvent)")
        }
        return list.compactMap { try? ICECandidate($0) }
    }

    /// The event's type.
    public var type: String {
        switch body {
        case .invite: "m.call.invite"
        case .candidates: "m.call.candidates"
        case .answer: "m.call.answer"
        case .selectAnswer: "m.call.select_answer"
        case .reject: "m.call.reject"
        case .hangup: "m.call.hangup"
        case .negotiate: "m.call.negotiate"
        case .streamMetadataChanged: "m.call.sdp_stream_metadata_changed"
        }
    }

    /// The event's content.
    public var content: JSONValue {
        var content: JSONValue =
            switch body {
            case .invite(let invite):
                .fields([
                    "offer": invite.offer.json, "lifetime": .integer(invite.lifetimeMilliseconds),
                    "invitee": invite.invitee.map { .string($0.text) },
                    "sdp_stream_metadata": invite.streams?.streamsJSON,
                ])
            case .candidates(let candidates): ["candidates": .array(candidates.map(\.json))]
            case .answer(let answer):
                .fields(["answer": answer.answer.json, "sdp_stream_metadata": answer.streams?.streamsJSON])
            case .selectAnswer(let party): ["selected_party_id": .string(party.text)]
            case .reject: [:]
            case .hangup(let reason): ["reason": .string(reason.rawValue)]
            case .negotiate(let negotiate):
                .fields([
                    "description": negotiate.description.json, "lifetime": .integer(negotiate.lifetimeMilliseconds),
                    "sdp_stream_metadata": negotiate.streams?.streamsJSON,
                ])
            case .streamMetadataChanged(let streams): ["sdp_stream_metadata": streams.streamsJSON]
            }
        content["call_id"] = .string(call.text)
        content["version"] = isVersion0 ? .integer(0) : "1"
        if let party { content["party_id"] = .string(party.text) }
        return content
    }
}
