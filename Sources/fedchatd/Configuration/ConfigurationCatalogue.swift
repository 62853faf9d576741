import Cryptography
import Foundation
import Homeserver
import MatrixModel

/// All keys, in the order in which `fedchatd init` writes them.
enum ConfigurationCatalogue {
    static var keys: [ConfigurationKey] {
        basics + storage + rooms + retention + federation + outbound + registration + terms + profiles + support
            + policyServer + rateLimits + clients + media + others + limits + timeouts + logging
    }

    private static var basics: [ConfigurationKey] {
        [
            ConfigurationKey("server_name", nil, "The name after the colon in ids; never changes.") {
                c, s throws(Setting.Wrong) in
                do { c.serverName = try ServerName(try s.string) } catch {
                    throw Setting.Wrong("expected a server name such as example.org")
                }
            },
            ConfigurationKey("public_base_url", nil, "Where clients reach this server.") { c, s throws(Setting.Wrong) in
                let text = try s.string
                guard text.hasPrefix("https://") || text.hasPrefix("http://"), text.utf8.count < 2048 else {
                    throw Setting.Wrong("expected a URL that starts with https:// or http://")
                }
                c.publicBaseURL = text.hasSuffix("/") ? String(text.dropLast()) : text
            },
            ConfigurationKey("data_dir", "\".\"", "Media and caches; relative to this file.") {
                c, s throws(Setting.Wrong) in c.dataDirectory = c.path(try s.string)
            },
            ConfigurationKey(
                "listeners", nil,
                "bind, port, tls.certificate and tls.private_key (PEM), resources, x_forwarded. Without any: 8008 plain."
            ) { c, s throws(Setting.Wrong) in c.listeners = try ListenerReading.listeners(s, c) },
        ]
    }

    private static var storage: [ConfigurationKey] {
        [
            ConfigurationKey("database.sqlite", nil, "The database's file; or database.postgres.") {
                c, s throws(Setting.Wrong) in c.sqlitePath = c.path(try s.string)
            },
            ConfigurationKey("database.postgres", nil, "A libpq URL.") { c, s throws(Setting.Wrong) in
                let text = try s.string
                guard text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") else {
                    throw Setting.Wrong("expected a URL that starts with postgresql://")
                }
                c.postgresURL = text
            },
            ConfigurationKey("database.pool", nil, "Connections per node; by the number of cores.") {
                c, s throws(Setting.Wrong) in c.databasePool = Int(try s.integer(in: 1...256))
            },
            ConfigurationKey(
                "storage_key_file", nil, "Seals content at rest; a key a line, ID:base64, the first seals."
            ) {
                c, s throws(Setting.Wrong) in c.storageKeyFile = c.path(try s.string)
            },
            ConfigurationKey(
                "signing_key_file", "federation-keys/signing.key",
                "Made if missing; old keys are in retired/ beside it."
            ) { c, s throws(Setting.Wrong) in c.signingKeyFile = c.path(try s.string) },
        ]
    }

    private static var rooms: [ConfigurationKey] {
        [
            ConfigurationKey("rooms.default_version", "\"12\"", "The version of rooms created here.") {
                c, s throws(Setting.Wrong) in
                guard let version = RoomVersion(try s.string) else {
                    throw Setting.Wrong("expected a room version from 1 to 12")
                }
                c.homeserver.rooms.defaultVersion = version
            },
            flag("rooms.encrypt_by_default", \.rooms.encryptByDefault, "New rooms that are not public are encrypted."),
            flag(
                "rooms.require_membership_for_aliases", \.rooms.requireMembershipForAliases,
                "Only members may give a room an alias."),
            integer64(
                "rooms.forgotten_kept_days", \.rooms.forgottenKeptDays, 0...36_500,
                "A room that all users here have left and forgotten goes so many days later; 0: never."),
        ]
    }

    private static var retention: [ConfigurationKey] {
        [
            days(
                "retention.default_days", \.retention.defaultDays,
                "Messages go after so many days, where a room says nothing."),
            days("retention.minimum_days", \.retention.minimumDays, "No room's messages go sooner."),
            days(
                "retention.maximum_days", \.retention.maximumDays,
                "Rooms that say how long they keep messages keep them no longer."),
        ]
    }

    private static func days(_ path: String, _ field: Path<Int64?>, _ comment: String) -> ConfigurationKey {
        ConfigurationKey(path, nil, comment) { c, s throws(Setting.Wrong) in
            c.homeserver[keyPath: field] = try s.integer(in: 1...36_500)
        }
    }

    private static var federation: [ConfigurationKey] {
        [
            flag("federation.enabled", \.federation.isEnabled, "Whether to speak to other servers at all."),
            list("federation.allow", \.federation.allow, "Server name patterns; none named: all."),
            list("federation.deny", \.federation.deny, "Server name patterns."),
            ConfigurationKey("federation.custom_ca_files", "[]", "PEM files, added to the system's certificates.") {
                c, s throws(Setting.Wrong) in
                var files: [String] = []
                for file in try s.strings {
                    let path = c.path(file)
                    guard Paths.exists(path) else { throw Setting.Wrong("the file \(path) is missing") }
                    files.append(path)
                }
                c.customCAFiles = files
            },
            flag(
                "federation.allow_private_addresses", \.federation.allowPrivateAddresses,
                "Else loopback, link-local and private ranges are never connected to."),
            flag("federation.well_known_lookup", \.federation.wellKnownLookup, "Ask other servers' .well-known."),
            flag("federation.retry_backoff", \.federation.retryBackoff, "Wait longer after each failure."),
            flag(
                "federation.public_rooms", \.federation.publicRooms, "Answer other servers' room directory questions."),
            flag("federation.notary.serve", \.federation.notaryServe, "Answer for other servers' keys."),
            ConfigurationKey("federation.notary.trusted_servers", "[]", "Notaries to ask for keys of dead servers.") {
                c, s throws(Setting.Wrong) in
                var names: [ServerName] = []
                for text in try s.strings {
                    do { names.append(try ServerName(text)) } catch { throw Setting.Wrong("\(text) is no server name") }
                }
                c.homeserver.federation.notaryTrustedServers = names
            },
        ]
    }

    private static var outbound: [ConfigurationKey] {
        [
            flag(
                "outbound.verify_tls", \.outbound.verifyTLS,
                "Push gateways, mail servers and the like need a valid certificate."),
            flag(
                "outbound.allow_private_addresses", \.outbound.allowPrivateAddresses,
                "Push gateways and the like may be on loopback, link-local and private addresses, and without TLS."),
        ]
    }

    private static var registration: [ConfigurationKey] {
        [
            flag("registration.open", \.registration.isOpen, "Anybody may register."),
            flag("registration.guests", \.registration.guests, "Guests may register, and join rooms that let them."),
            fixed("registration.require_verification", "false", "New users must confirm an address."),
            flag("registration.require_token", \.registration.requireToken, "New users need a registration token."),
        ]
            + secret(
                "registration.shared_secret", "Enables /_synapse/admin/v1/register.", \.registration.sharedSecret)
            + [
                ConfigurationKey(
                    "registration.password_hash_cost", "interactive",
                    "minimum (tests), interactive, moderate, sensitive."
                ) { c, s throws(Setting.Wrong) in
                    c.homeserver.registration.passwordHashCost = try s.choice([
                        "minimum", "interactive", "moderate", "sensitive",
                    ])
                }
            ]
    }

    private static var rateLimits: [ConfigurationKey] {
        [flag("rate_limits.enabled", \.rateLimits.isEnabled, "Per user, or per address.")]
            + rate("messages", \.rateLimits.messages) + rate("logins", \.rateLimits.logins)
            + rate("registrations", \.rateLimits.registrations) + rate("joins", \.rateLimits.joins)
            + rate("invites", \.rateLimits.invites) + rate("key_claims", \.rateLimits.keyClaims)
            + rate("key_fetches", \.rateLimits.keyFetches)
            + rate("federation", \.rateLimits.federation) + rate("previews", \.rateLimits.previews)
            + rate("policy_events", \.rateLimits.policyEvents)
            + rate("other", \.rateLimits.other)
    }

    private static var clients: [ConfigurationKey] {
        [
            flag("clients.access_token_in_query", \.clients.accessTokenInQuery, "For old clients."),
            flag("clients.legacy_media", \.clients.legacyMedia, "Unauthenticated media for all media."),
            flag(
                "clients.public_rooms_without_authentication", \.clients.publicRoomsWithoutAuthentication,
                "The room directory without a token."),
            fixed("clients.sync_response_cache_ms", "0", "Keeps sync answers so long."),
        ]
    }

    private static var others: [ConfigurationKey] {
        [
            ConfigurationKey(
                "search.index_plaintext", "true",
                "Server-side search of unencrypted rooms; false, and nothing else, where storage_key_file is set."
            ) { c, s throws(Setting.Wrong) in
                let isOn = try s.boolean
                guard !isOn || c.storageKeyFile == nil else {
                    throw Setting.Wrong("expected false, since storage_key_file is set: words are not kept unsealed")
                }
                c.homeserver.search.indexPlaintext = isOn
            },
            ConfigurationKey(
                "rtc.transports", "[]",
                "Media servers for calls: URLs of LiveKit services, or mappings with type; clients are told them."
            ) { c, s throws(Setting.Wrong) in c.homeserver.rtc.transports = try TransportReading.transports(s) },
            flag("presence.enabled", \.presence.isEnabled, "Who is online, among local users."),
            flag("presence.federate", \.presence.federate, "Presence to and from other servers."),
            list("turn.uris", \.turn.uris, "turn: and stun: URIs."),
        ]
            + secret("turn.shared_secret", "coturn's static-auth-secret.", \.turn.sharedSecret)
            + [
                integer64("turn.ttl_ms", \.turn.ttlMilliseconds, 60_000...604_800_000, "How long credentials hold."),
                flag(
                    "metrics.enabled", \.metricsEnabled, "Prometheus text at /metrics of listeners with that resource."),
            ]
            + email
            // Named by the contract, not built yet: setting one says so instead of being ignored.
            + [
                "application_services", "captcha.verify_url", "captcha.public_key", "captcha.private_key",
                "captcha.private_key_file", "cas.server_url",
            ].map { path in
                ConfigurationKey(path, nil, "Not in this version.") { _, _ throws(Setting.Wrong) in
                    throw Setting.Wrong("not available in this version of fedchatd; remove the key")
                }
            }
    }

    private static var email: [ConfigurationKey] {
        [
            ConfigurationKey("email.smtp_host", nil, "The mail server; without, no mail is sent.") {
                c, s throws(Setting.Wrong) in
                let host = try s.string
                guard !host.isEmpty, host.utf8.count <= 255, !host.contains(where: \.isWhitespace) else {
                    throw Setting.Wrong("expected a host name or an IP address")
                }
                c.homeserver.email.host = host
            },
            ConfigurationKey("email.smtp_port", "587", "25 and 587 are plain at first, 465 is TLS.") {
                c, s throws(Setting.Wrong) in c.homeserver.email.port = Int(try s.integer(in: 1...65_535))
            },
            ConfigurationKey("email.from", nil, "Who mail comes from: an address, or Name <address>.") {
                c, s throws(Setting.Wrong) in
                let text = try s.string
                guard MailAddress.mailbox(text) != nil else {
                    throw Setting.Wrong("expected an address such as chat@example.org, or Name <chat@example.org>")
                }
                c.homeserver.email.from = text
            },
            ConfigurationKey("email.username", nil, "With email.password_file, for mail servers that ask.") {
                c, s throws(Setting.Wrong) in c.homeserver.email.username = try s.string
            },
            ConfigurationKey("email.password_file", nil, "Its one line is the password.") {
                c, s throws(Setting.Wrong) in c.homeserver.email.password = try Paths.secret(c.path(try s.string))
            },
            ConfigurationKey("email.tls", "starttls", "none, starttls, or tls (from the first byte).") {
                c, s throws(Setting.Wrong) in
                c.homeserver.email.tls = try s.choice(["none", "starttls", "tls"])
            },
        ]
    }

    private static var logging: [ConfigurationKey] {
        [
            ConfigurationKey("log.level", "info", "trace, debug, info, notice, warning, error, critical.") {
                c, s throws(Setting.Wrong) in
                c.logLevel = try s.choice(["trace", "debug", "info", "notice", "warning", "error", "critical"])
            },
            ConfigurationKey("log.format", "text", "text or json.") { c, s throws(Setting.Wrong) in
                c.logFormat = try s.choice(["text", "json"])
            },
        ]
    }
}
