/// What one stream of a call is.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#streams>
public struct StreamMetadata: Sendable, Hashable {
    /// The purposes that the specification knows. A stream of another is to be ignored, so it is not read.
    public enum Purpose: String, Sendable, Hashable {
        /// Camera and microphone.
        case usermedia = "m.usermedia"
        /// A screen.
        case screenshare = "m.screenshare"
    }

    public var purpose: Purpose
    /// Whether its sound is muted.
    public var audioMuted: Bool
    /// Whether its picture is muted.
    public var videoMuted: Bool

    /// A stream of this purpose, not muted.
    public init(_ purpose: Purpose, audioMuted: Bool = false, videoMuted: Bool = false) {
        self.purpose = purpose
        self.audioMuted = audioMuted
        self.videoMuted = videoMuted
    }
}

extension [String: StreamMetadata] {
    /// Reads `sdp_stream_metadata`, or its name from before it was in the specification; nil where it is missing: the
    /// other side then knows of one stream only.
    init?(callContent content: some JSONReading) throws(MalformedField) {
        let key =
            content["sdp_stream_metadata"] == nil ? "org.matrix.msc3077.sdp_stream_metadata" : "sdp_stream_metadata"
        guard let object = try content.optionalObject(key) else { return nil }
        try self.init(streams: object)
    }

    /// Reads a map from the streams' ids. What is no stream, or of a purpose that nobody knows, is left out.
    public init(streams object: some JSONReading) throws(MalformedField) {
        guard object.isObject, object.count <= CallContentLimits.streams else {
            throw MalformedField("streams", expected: "an object of at most \(CallContentLimits.streams) streams")
        }
        self.init()
        for (id, stream) in object.members where id.utf8.count <= CallContentLimits.streamIDBytes {
            guard let purpose = stream["purpose"]?.string.flatMap({ StreamMetadata.Purpose(rawValue: $0) }) else {
                continue
            }
            self[id] = StreamMetadata(
                purpose, audioMuted: stream["audio_muted"]?.bool ?? false,
                videoMuted: stream["video_muted"]?.bool ?? false)
        }
    }

    /// The map as it is sent.
    public var streamsJSON: JSONValue {
        .object(
            mapValues { stream in
                [
                    "purpose": .string(stream.purpose.rawValue), "audio_muted": .bool(stream.audioMuted),
                    "video_muted": .bool(stream.videoMuted),
                ]
            })
    }
}
