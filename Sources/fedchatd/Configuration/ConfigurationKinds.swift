import Homeserver
import MatrixModel

/// How keys of one kind are declared, and the two long groups of them.
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

    static var limits: [ConfigurationKey] {
        [
            count("limits.devices_per_user", \.limits.devicesPerUser, "A count."),
            count("limits.one_time_keys_per_device", \.limits.oneTimeKeysPerDevice, "A count."),
            count("limits.to_device_messages_per_device", \.limits.toDeviceMessagesPerDevice, "A count."),
            count("limits.to_device_per_sync", \.limits.toDevicePerSync, "A count."),
            count("limits.filters_per_user", \.limits.filtersPerUser, "A count."),
            count("limits.account_data_bytes", \.limits.accountDataBytes, "Bytes."),
            count("limits.sync_timeline_default", \.limits.syncTimelineDefault, "A count."),
            count("limits.sync_timeline_maximum", \.limits.syncTimelineMaximum, "A count."),
            count("limits.messages_page_maximum", \.limits.messagesPageMaximum, "A count."),
            count("limits.event_cache_bytes", \.limits.eventCacheBytes, "Bytes."),
            count("limits.state_cache_bytes", \.limits.stateCacheBytes, "Bytes."),
            count("limits.room_heads_cached", \.limits.roomHeadsCached, "A count."),
            count("limits.outbox_per_destination", \.limits.outboxPerDestination, "A count."),
            count("limits.staged_per_origin", \.limits.stagedPerOrigin, "A count."),
            count("limits.staged_per_room", \.limits.stagedPerRoom, "A count."),
            count("limits.waiting_syncs", \.limits.waitingSyncs, "A count."),
            count("limits.aliases_per_room", \.limits.aliasesPerRoom, "A count."),
            count("limits.federation_concurrent_destinations", \.limits.federationConcurrentDestinations, "A count."),
        ]
    }

    static var timeouts: [ConfigurationKey] {
        [
            integer64("timeouts.sync_maximum_ms", \.timeouts.syncMaximum, 1...(1 << 40), "Milliseconds."),
            integer64("timeouts.federation_request_ms", \.timeouts.federationRequest, 1...(1 << 40), "Milliseconds."),
            integer64(
                "timeouts.federation_transaction_ms", \.timeouts.federationTransaction, 1...(1 << 40), "Milliseconds."),
            integer64("timeouts.federation_join_ms", \.timeouts.federationJoin, 1...(1 << 40), "Milliseconds."),
            integer64("timeouts.key_fetch_ms", \.timeouts.keyFetch, 1...(1 << 40), "Milliseconds."),
            integer64("timeouts.uia_session_ms", \.timeouts.uiaSession, 1...(1 << 40), "Milliseconds."),
            integer64(
                "timeouts.access_token_lifetime_ms", \.timeouts.accessTokenLifetime, 1...(1 << 40), "Milliseconds."),
            integer64("timeouts.typing_maximum_ms", \.timeouts.typingMaximum, 1...(1 << 40), "Milliseconds."),
            integer64(
                "timeouts.federation_backoff_maximum_ms", \.timeouts.federationBackoffMaximum, 1...(1 << 40),
                "Milliseconds."),
            integer64("timeouts.thumbnail_ms", \.timeouts.thumbnail, 1...(1 << 40), "Milliseconds."),
        ]
    }
}
