import Homeserver
import MatrixModel
import Yams

/// Reads `rtc.transports[]`: the URL of a LiveKit service, or a mapping of texts with `type`.
enum TransportReading {
    static func transports(_ setting: Setting) throws(Setting.Wrong) -> [JSONValue] {
        var node: Node
        switch setting {
        case .node(let given): node = given
        case .environment(let text):
            guard let parsed = try? Yams.compose(yaml: text) else { throw Setting.Wrong("expected a JSON array") }
            node = parsed
        }
        guard case .sequence(let sequence) = node, sequence.count <= 100 else { throw Setting.Wrong("expected a list") }
        var transports: [JSONValue] = []
        for item in sequence { transports.append(try transport(item)) }
        return transports
    }

    private static func transport(_ node: Node) throws(Setting.Wrong) -> JSONValue {
        guard case .mapping(let mapping) = node else {
            let url = try Setting.node(node).string
            guard url.hasPrefix("https://") || url.hasPrefix("http://") else {
                throw Setting.Wrong("expected the URL of a LiveKit service, or a mapping with type")
            }
            return ["type": "livekit", "livekit_service_url": .string(url)]
        }
        var transport: [String: JSONValue] = [:]
        for (key, value) in mapping {
            guard let name = key.string else { throw Setting.Wrong("a key is not text") }
            transport[name] = .string(try Setting.node(value).string)
        }
        guard let type = transport["type"]?.string, !type.isEmpty else { throw Setting.Wrong("expected a type") }
        guard type != "livekit" || transport["livekit_service_url"] != nil else {
            throw Setting.Wrong("expected livekit_service_url")
        }
        return .object(transport)
    }
}
