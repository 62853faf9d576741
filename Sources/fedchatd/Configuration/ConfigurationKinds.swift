import Homeserver
import MatrixModel

/// How keys of one kind are declared.
extension ConfigurationCatalogue {
    typealias Path<Value> = WritableKeyPath<HomeserverConfiguration, Value>

    private static let defaults = HomeserverConfiguration(publicBaseURL: "")

    static func flag(_ path: String, _ field: Path<Bool>, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, String(defaults[keyPath: field]), comment) { c, s throws(Setting.Wrong) in
            c.homeserver[keyPath: field] = try s.boolean
        }
    }

    static func list(_ path: String, _ field: Path<[String]>, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, "[]", comment) { c, s throws(Setting.Wrong) in
            c.homeserver[keyPath: field] = try s.strings
        }
    }

    static func count(_ path: String, _ field: Path<Int>, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, String(defaults[keyPath: field]), comment) { c, s throws(Setting.Wrong) in
            c.homeserver[keyPath: field] = Int(try s.integer(in: 1...(1 << 40)))
        }
    }

    static func integer64(
        _ path: String, _ field: Path<Int64>, _ range: ClosedRange<Int64>, _ comment: String
    ) -> ConfigurationKey {
        ConfigurationKey(path, String(defaults[keyPath: field]), comment) { c, s throws(Setting.Wrong) in
            c.homeserver[keyPath: field] = try s.integer(in: range)
        }
    }

    /// A secret, or the file that holds it.
    static func secret(_ path: String, _ comment: String, _ field: Path<[UInt8]?>) -> [ConfigurationKey] {
        [
            ConfigurationKey(path, nil, comment) { c, s throws(Setting.Wrong) in
                c.homeserver[keyPath: field] = Array(try s.string.utf8)
            },
            ConfigurationKey(path + "_file", nil, "The same, from a file.") { c, s throws(Setting.Wrong) in
                c.homeserver[keyPath: field] = Array(try Paths.secret(c.path(try s.string)).utf8)
            },
        ]
    }

    /// A token bucket.
    static func rate(_ name: String, _ field: Path<HomeserverConfiguration.RateLimit>) -> [ConfigurationKey] {
        let limit = defaults[keyPath: field]
        return [
            ConfigurationKey("rate_limits.\(name).burst", String(limit.burst), "At once.") {
                c, s throws(Setting.Wrong) in
                c.homeserver[keyPath: field].burst = try s.decimal(in: 1...1_000_000)
            },
            ConfigurationKey("rate_limits.\(name).per_second", String(limit.perSecond), "After that.") {
                c, s throws(Setting.Wrong) in
                c.homeserver[keyPath: field].perSecond = try s.decimal(in: 0.001...1_000_000)
            },
        ]
    }

    /// A key of the contract whose other values are not built yet: the default is taken, anything else is refused.
    static func fixed(_ path: String, _ value: String, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, value, comment) { _, s throws(Setting.Wrong) in
            guard try s.string == value else {
                throw Setting.Wrong("only \(value) is available in this version of fedchatd")
            }
        }
    }
}
