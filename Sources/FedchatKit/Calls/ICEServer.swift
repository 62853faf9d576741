public import MatrixModel

/// An `RTCIceServer`. Its credential has no part in any description.
public struct ICEServer: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    public let urls: [String]
    public let username: String?
    public let credential: String?

    /// Reads the answer to `GET /voip/turnServer`, and for how long it is good.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver>
    public static func read(_ answer: some JSONReading) throws(MalformedField) -> (servers: [ICEServer], life: Duration)
    {
        // Synapse without a TURN server answers an empty object.
        guard answer["uris"] != nil else { return ([], .seconds(3_600)) }
        let urls = try answer.requiredStrings("uris").prefix(ClientLimits.iceServerURLs).filter { url in
            url.utf8.count <= ClientLimits.argumentBytes
                && ["turn:", "turns:", "stun:", "stuns:"].contains { url.lowercased().hasPrefix($0) }
        }
        let server = ICEServer(
            urls: Array(urls), username: try answer.optionalString("username"),
            credential: try answer.optionalString("password"))
        let seconds = min(max(try answer.optionalInteger("ttl") ?? 3_600, 1), 604_800)
        return (urls.isEmpty ? [] : [server], .seconds(seconds))
    }

    /// As WebRTC takes it.
    public var json: JSONValue {
        .fields([
            "urls": .array(urls.map { .string($0) }), "username": username.map { .string($0) },
            "credential": credential.map { .string($0) },
        ])
    }

    /// The URLs only.
    public var description: String { urls.joined(separator: " ") }
    /// The URLs only.
    public var debugDescription: String { description }
}
