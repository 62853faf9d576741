import Homeserver
import Yams

/// Reads `listeners[]`.
enum ListenerReading {
    static func listeners(
        _ setting: Setting, _ configuration: LoadedConfiguration
    ) throws(Setting.Wrong) -> [LoadedConfiguration.ListenerSettings] {
        var listeners: [LoadedConfiguration.ListenerSettings] = []
        for (index, mapping) in try setting.mappings.enumerated() {
            do { listeners.append(try listener(mapping, configuration)) } catch {
                throw Setting.Wrong("listener \(index + 1): \(error.expected)")
            }
        }
        guard !listeners.isEmpty else { throw Setting.Wrong("expected at least one listener") }
        return listeners
    }

    private static func listener(
        _ mapping: Node.Mapping, _ configuration: LoadedConfiguration
    ) throws(Setting.Wrong) -> LoadedConfiguration.ListenerSettings {
        var listener = LoadedConfiguration.ListenerSettings()
        var hasPort = false
        for (key, value) in mapping {
            let setting = Setting.node(value)
            switch key.string {
            case "bind": listener.bind = try setting.string
            case "port":
                listener.port = Int(try setting.integer(in: 0...65535))
                hasPort = true
            case "x_forwarded": listener.trustsForwarded = try setting.boolean
            case "resources":
                var resources: Set<Resource> = []
                for name in try setting.strings {
                    guard let resource = Resource(rawValue: name) else {
                        throw Setting.Wrong(
                            "resources: expected any of \(Resource.allCases.map(\.rawValue).joined(separator: ", "))")
                    }
                    resources.insert(resource)
                }
                if !resources.isEmpty { listener.resources = resources }
            case "tls":
                guard case .mapping(let tls) = value else {
                    throw Setting.Wrong("tls: expected certificate and private_key")
                }
                for (key, value) in tls {
                    let path = configuration.path(try Setting.node(value).string)
                    switch key.string {
                    case "certificate": listener.certificate = path
                    case "private_key": listener.privateKey = path
                    default: throw Setting.Wrong("tls.\(key.string ?? "?"): no such key")
                    }
                    guard Paths.exists(path) else { throw Setting.Wrong("the file \(path) is missing") }
                }
                guard listener.certificate != nil, listener.privateKey != nil else {
                    throw Setting.Wrong("tls: expected certificate and private_key")
                }
            default: throw Setting.Wrong("\(key.string ?? "?"): no such key")
            }
        }
        guard hasPort else { throw Setting.Wrong("port is missing") }
        return listener
    }
}
