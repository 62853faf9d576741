import Foundation
import Homeserver
import Yams

/// Reads and writes the configuration file.
enum ConfigurationFile {
    static let maximumBytes = 1 << 20

    /// Reads a file with the environment's overrides. Throws ``ConfigurationError``.
    static func load(
        _ file: String, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(ConfigurationError) -> LoadedConfiguration {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw ConfigurationError(file: file, expected: "the file cannot be read")
        }
        guard data.count <= maximumBytes else {
            throw ConfigurationError(file: file, expected: "the file is too large")
        }
        return try parse(String(decoding: data, as: UTF8.self), file: file, environment: environment)
    }

    static func parse(
        _ text: String, file: String, environment: [String: String]
    ) throws(ConfigurationError) -> LoadedConfiguration {
        var values: [String: Setting] = [:]
        let root: Node?
        do { root = try Yams.compose(yaml: text) } catch {
            let line = "\(error)".split(separator: "\n").first.map(String.init) ?? ""
            throw ConfigurationError(file: file, expected: "not YAML: \(line)")
        }
        if let root, root.null == nil {
            guard case .mapping(let mapping) = root else {
                throw ConfigurationError(file: file, expected: "expected keys and values")
            }
            try flatten(mapping, "", file, &values)
        }
        let known = Dictionary(uniqueKeysWithValues: ConfigurationCatalogue.keys.map { ($0.path, $0) })
        for path in values.keys.sorted() where known[path] == nil {
            throw ConfigurationError(file: file, key: path, expected: "no such key")
        }
        let names = Set(ConfigurationCatalogue.keys.map(\.environmentName))
        for name in environment.keys.sorted() where name.hasPrefix("FEDCHATD_") && !names.contains(name) {
            throw ConfigurationError(file: "environment", key: name, expected: "no such key")
        }

        var loaded = LoadedConfiguration(file: file)
        for key in ConfigurationCatalogue.keys {
            var source = file
            var setting = values[key.path]
            if let text = environment[key.environmentName] {
                setting = .environment(text)
                source = "environment \(key.environmentName)"
            }
            guard let setting else { continue }
            do { try key.apply(&loaded, setting) } catch {
                throw ConfigurationError(file: source, key: key.path, expected: error.expected)
            }
        }
        try check(&loaded)
        return loaded
    }

    /// What holds between keys.
    private static func check(_ loaded: inout LoadedConfiguration) throws(ConfigurationError) {
        let file = loaded.file
        guard loaded.serverName != nil else {
            throw ConfigurationError(
                file: file, key: "server_name", expected: "is missing; expected such as example.org")
        }
        guard let url = loaded.publicBaseURL else {
            throw ConfigurationError(
                file: file, key: "public_base_url", expected: "is missing; expected such as https://chat.example.org")
        }
        loaded.homeserver.publicBaseURL = url
        loaded.homeserver.media.directory = loaded.dataDirectory + "/media"
        let email = loaded.homeserver.email
        if email.host != nil, email.from == nil {
            throw ConfigurationError(
                file: file, key: "email.from", expected: "is missing; expected an address, for email.smtp_host is set")
        }
        if (email.username == nil) != (email.password == nil) {
            throw ConfigurationError(
                file: file, key: "email.password_file", expected: "expected together with email.username")
        }
        if loaded.homeserver.media.s3 != nil {
            let s3 = loaded.s3
            let keys = [
                ("endpoint", s3.endpoint), ("bucket", s3.bucket), ("access_key_id", s3.accessKeyID),
                ("secret_access_key", s3.secretAccessKey == nil ? "" : "…"),
            ]
            for (key, value) in keys where value.isEmpty {
                throw ConfigurationError(
                    file: file, key: "media.s3.\(key)", expected: "is missing; media.store is s3")
            }
            guard s3.isUsable else {
                throw ConfigurationError(
                    file: file, key: "media.s3.endpoint", expected: "expected a URL such as https://s3.example.org")
            }
            loaded.homeserver.media.s3 = s3
        }
        switch (loaded.sqlitePath, loaded.postgresURL) {
        case (nil, nil):
            throw ConfigurationError(
                file: file, key: "database", expected: "is missing; expected database.sqlite or database.postgres")
        case (.some, .some):
            throw ConfigurationError(file: file, key: "database", expected: "expected sqlite or postgres, not both")
        default: break
        }
    }

    private static func flatten(
        _ mapping: Node.Mapping, _ prefix: String, _ file: String, _ values: inout [String: Setting]
    ) throws(ConfigurationError) {
        for (key, value) in mapping {
            guard let name = key.string else {
                throw ConfigurationError(file: file, key: prefix, expected: "a key is not text")
            }
            let path = prefix.isEmpty ? name : "\(prefix).\(name)"
            if values[path] != nil { throw ConfigurationError(file: file, key: path, expected: "is given twice") }
            if case .mapping(let inner) = value {
                try flatten(inner, path, file, &values)
            } else if value.null == nil || value.scalar?.style == .doubleQuoted || value.scalar?.style == .singleQuoted
            {
                values[path] = .node(value)
            }
        }
    }

    /// The text that `fedchatd init` writes: three keys set, every other shown with its default.
    static func initial(serverName: String, publicBaseURL: String, postgres: String?) -> String {
        var text = "# fedchatd. Every key may be overridden by an environment variable: FEDCHATD_ and the path in\n"
        text += "# capitals, parts joined by two underscores. Relative paths are relative to this file.\n"
        let set: [String: String] = [
            "server_name": quoted(serverName), "public_base_url": quoted(publicBaseURL),
            postgres == nil ? "database.sqlite" : "database.postgres": postgres.map(quoted) ?? "fedchatd.db",
        ]
        var group = ""
        for key in ConfigurationCatalogue.keys where key.comment != "Not in this version." {
            let parts = key.path.split(separator: ".").map(String.init)
            let parents = parts.dropLast().joined(separator: ".")
            let groupIsSet = set.keys.contains { $0.hasPrefix(parts[0] + ".") }
            if parents != group {
                text += "\n"
                for depth in 0..<(parts.count - 1) {
                    let path = parts[0...depth].joined(separator: ".")
                    if group == path || group.hasPrefix(path + ".") { continue }
                    text += "\(groupIsSet ? "" : "# ")\(String(repeating: "  ", count: depth))\(parts[depth]):\n"
                }
                group = parents
            }
            let indent = String(repeating: "  ", count: parts.count - 1)
            let name = parts.last ?? key.path
            if let value = set[key.path] {
                text += "\(indent)\(name): \(value)  # \(key.comment)\n"
            } else {
                text += "# \(indent)\(name): \(key.shown ?? "")  # \(key.comment)\n"
            }
        }
        return text
    }

    private static func quoted(_ text: String) -> String {
        "\"" + text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"") + "\""
    }
}
