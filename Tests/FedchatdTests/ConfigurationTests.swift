import Homeserver
import MatrixModel
import Testing

@testable import fedchatd

@Suite("The configuration file") struct ConfigurationTests {
    private static let basic = """
        server_name: example.org
        public_base_url: https://chat.example.org/
        database:
          sqlite: fedchatd.db

        """

    private func load(_ text: String, environment: [String: String] = [:]) throws -> LoadedConfiguration {
        try ConfigurationFile.parse(text, file: "/etc/fedchatd.yaml", environment: environment)
    }

    private func complaint(_ text: String, environment: [String: String] = [:]) -> String? {
        do {
            _ = try load(text, environment: environment)
            return nil
        } catch { return "\(error)" }
    }

    @Test func `three keys are enough, and the rest has its default`() throws {
        let loaded = try load(Self.basic)
        #expect(loaded.serverName?.text == "example.org")
        #expect(loaded.homeserver.publicBaseURL == "https://chat.example.org")
        #expect(loaded.sqlitePath == "/etc/fedchatd.db")
        #expect(loaded.signingKeyFile == "/etc/federation-keys/signing.key")
        #expect(loaded.homeserver.rooms.defaultVersion == .v12)
        #expect(loaded.homeserver.limits.toDevicePerSync == 100)
    }

    @Test func `what init writes is read as all defaults`() throws {
        let text = ConfigurationFile.initial(
            serverName: "example.org", publicBaseURL: "https://chat.example.org", postgres: nil)
        let loaded = try load(text)
        #expect(loaded.homeserver.rateLimits.messages == HomeserverConfiguration.RateLimits().messages)
        #expect(text.contains("default_version: \"12\""))
    }

    @Test func `every key that init shows can be uncommented with its default`() throws {
        for key in ConfigurationCatalogue.keys {
            guard let shown = key.shown else { continue }
            var text = Self.basic
            var indent = ""
            let parts = key.path.split(separator: ".")
            for part in parts.dropLast() {
                text += "\(indent)\(part):\n"
                indent += "  "
            }
            text += "\(indent)\(parts.last ?? ""): \(shown)\n"
            #expect(complaint(text) == nil, "\(key.path)")
        }
    }

    @Test(arguments: [
        ("rooms:\n  colour: red\n", "/etc/fedchatd.yaml: rooms.colour: no such key"),
        (
            "rooms:\n  encrypt_by_default: maybe\n",
            "/etc/fedchatd.yaml: rooms.encrypt_by_default: expected true or false"
        ),
        (
            "rooms:\n  default_version: \"13\"\n",
            "/etc/fedchatd.yaml: rooms.default_version: expected a room version from 1 to 12"
        ),
        (
            "email:\n  smtp_host: mail.example.org\n",
            "/etc/fedchatd.yaml: email.from: is missing; expected an address, for email.smtp_host is set"
        ),
        (
            "email:\n  from: nobody\n",
            "/etc/fedchatd.yaml: email.from: expected an address such as chat@example.org, or Name <chat@example.org>"
        ),
        (
            "captcha:\n  verify_url: https://example.org\n",
            "/etc/fedchatd.yaml: captcha.verify_url: not available in this version of fedchatd; remove the key"
        ),
        ("rtc:\n  transports: [{type: livekit}]\n", "/etc/fedchatd.yaml: rtc.transports: expected livekit_service_url"),
        (
            "policy_server:\n  refused_words: [fine, '!?']\n",
            "/etc/fedchatd.yaml: policy_server.refused_words: !?: expected from one to 8 words of letters and digits"
        ),
        (
            "policy_server:\n  refused_users: ['']\n",
            "/etc/fedchatd.yaml: policy_server.refused_users: expected patterns of 1 to 512 characters"
        ),
        (
            "policy_server:\n  largest_event_bytes: 65537\n",
            "/etc/fedchatd.yaml: policy_server.largest_event_bytes: expected a whole number from 1024 to 65536"
        ),
        ("listeners:\n  - bind: '::'\n", "/etc/fedchatd.yaml: listeners: listener 1: port is missing"),
        (
            "limits:\n  devices_per_user: 0\n",
            "/etc/fedchatd.yaml: limits.devices_per_user: expected a whole number from 1 to 1099511627776"
        ),
    ])
    func `a wrong key or value is told in one line`(text: String, expected: String) {
        #expect(complaint(Self.basic + text) == expected)
    }

    @Test func `the three keys without a default must be there`() {
        #expect(
            complaint("public_base_url: https://a\ndatabase:\n  sqlite: a\n")?.contains("server_name: is missing")
                == true)
        #expect(complaint("server_name: a\ndatabase:\n  sqlite: a\n")?.contains("public_base_url: is missing") == true)
        #expect(complaint("server_name: a\npublic_base_url: https://a\n")?.contains("database: is missing") == true)
    }

    @Test func `the environment overrides the file, and its unknown keys are refused`() throws {
        let loaded = try load(
            Self.basic,
            environment: [
                "FEDCHATD_ROOMS__ENCRYPT_BY_DEFAULT": "false", "FEDCHATD_FEDERATION__DENY": #"["*.bad.example"]"#,
            ])
        #expect(!loaded.homeserver.rooms.encryptByDefault)
        #expect(loaded.homeserver.federation.deny == ["*.bad.example"])
        #expect(complaint(Self.basic, environment: ["FEDCHATD_X": "1"]) == "environment: FEDCHATD_X: no such key")
    }

    @Test func `two databases are one too many`() {
        let text = Self.basic.replacing("sqlite: fedchatd.db", with: "sqlite: a\n  postgres: postgresql:///x")
        #expect(complaint(text)?.contains("expected sqlite or postgres, not both") == true)
    }
}
