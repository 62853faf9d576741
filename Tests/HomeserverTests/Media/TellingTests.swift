import Cryptography
import HTTPTypes
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("What a server tells of itself") struct TellingTests {
    @Test func `well-known names where clients and servers go`() async throws {
        let server = try await MediaServer()
        let client = try await server.call(.get, "/.well-known/matrix/client", as: nil)
        #expect(client.body == ["m.homeserver": ["base_url": "https://matrix.a.test"]])
        let other = try await server.call(.get, "/.well-known/matrix/server", as: nil)
        #expect(other.body == ["m.server": "matrix.a.test:443"])
        for name in ["support", "policy_server"] {
            #expect(try await server.call(.get, "/.well-known/matrix/\(name)", as: nil).status == 404)
        }
        let version = try await server.call(.get, "/_matrix/federation/v1/version", as: nil)
        #expect(version.body == ["server": ["name": "Fedchat", "version": "1"]])
        let plain = try await MediaServer { $0.publicBaseURL = "http://localhost:8008" }
        #expect(try await plain.call(.get, "/.well-known/matrix/server", as: nil).status == 404)
        let closed = try await MediaServer { $0.federation.isEnabled = false }
        #expect(try await closed.call(.get, "/.well-known/matrix/server", as: nil).status == 404)
    }

    @Test(
        arguments: [
            ("http://a.test:8008", "http a.test 8008 /"), ("https://[::1]/x/y?z#f", "https [::1] 443 /x/y?z"),
            ("HTTPS://a.test?b", "https a.test 443 /?b"), ("https://user@a.test/", nil), ("ftp://a.test/", nil),
            ("https://", nil), ("a.test", nil), ("https://a.test:0/", nil), ("https://a.test/a b", nil),
            ("https://a.test/\r\nX: y", nil),
        ] as [(String, String?)]) func `URLs are taken apart`(text: String, parts: String?)
    {
        let address = WebAddress(text)
        #expect(address.map { "\($0.scheme) \($0.host) \($0.port) \($0.pathAndQuery)" } == parts)
    }

    @Test func `ready says whether the database answers`() async throws {
        let server = try await MediaServer()
        #expect(try await server.call(.get, "/health", as: nil).status == 200)
        #expect(try await server.call(.get, "/ready", as: nil).status == 200)
        await server.environment.database.close()
        #expect(try await server.call(.get, "/health", as: nil).status == 200)
        #expect(try await server.call(.get, "/ready", as: nil).status == 503)
    }

    @Test func `TURN credentials are an HMAC over their end and the user`() async throws {
        let none = try await MediaServer()
        #expect(try await none.call(.get, "/_matrix/client/v3/voip/turnServer").status == 404)
        let server = try await MediaServer {
            $0.turn.uris = ["turn:turn.a.test"]
            $0.turn.sharedSecret = Array("n0t4ctu411y".utf8)
            $0.turn.ttlMilliseconds = 7_200_000
        }
        let answer = try await server.call(.get, "/_matrix/client/v3/voip/turnServer")
        let name = "1700007200:@alice:a.test"
        #expect(answer.body?["username"]?.string == name)
        let expected = HMACSHA1.authenticate(Array(name.utf8), key: Array("n0t4ctu411y".utf8))
        #expect(answer.body?["password"]?.string == Base64.encode(expected, .standard))
        #expect(answer.body?["ttl"] == 7200)
        #expect(answer.body?["uris"] == ["turn:turn.a.test"])
    }

    @Test func `clients are told the media servers of calls`() async throws {
        let none = try await MediaServer()
        let path = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports"
        #expect(try await none.call(.get, path).body == ["rtc_transports": []])
        let transport: JSONValue = ["type": "livekit", "livekit_service_url": "https://livekit.a.test"]
        let server = try await MediaServer { $0.rtc.transports = [transport] }
        #expect(try await server.call(.get, path).body?["rtc_transports"] == [transport])
        let told = try await server.call(.get, "/.well-known/matrix/client").body
        #expect(told?["org.matrix.msc4143.rtc_foci"] == [transport])
    }

    @Test func `metrics are written as Prometheus reads them`() {
        let metrics = PrometheusMetrics()
        metrics.series("requests.total", [("op", "a\"b\\\n")], .counter).increment(by: Int64(2))
        metrics.series("requests.total", [("op", "a\"b\\\n")], .counter).increment(by: Int64(1))
        metrics.series("rooms", [], .gauge).set(1.5)
        let timer = metrics.series(
            "duration_seconds", [("op", "x")], .histogram, bounds: PrometheusMetrics.secondBounds)
        timer.recordNanoseconds(3_000_000)
        timer.recordNanoseconds(3_000_000_000)
        let text = metrics.exposition()
        #expect(text.contains("# TYPE requests_total counter\nrequests_total{op=\"a\\\"b\\\\\\n\"} 3\n"))
        #expect(text.contains("# TYPE rooms gauge\nrooms 1.5\n"))
        #expect(text.contains("duration_seconds_bucket{op=\"x\",le=\"0.001\"} 0\n"))
        #expect(text.contains("duration_seconds_bucket{op=\"x\",le=\"0.005\"} 1\n"))
        #expect(text.contains("duration_seconds_bucket{op=\"x\",le=\"+Inf\"} 2\n"))
        #expect(text.contains("duration_seconds_count{op=\"x\"} 2\n"))
    }

    @Test func `series are bounded`() {
        let metrics = PrometheusMetrics()
        for index in 0..<(PrometheusMetrics.maximumSeriesPerName + 5) {
            metrics.series("c", [("i", String(index))], .counter).increment(by: Int64(1))
        }
        let lines = metrics.exposition().split(separator: "\n").filter { $0.hasPrefix("c{") }
        #expect(lines.count == PrometheusMetrics.maximumSeriesPerName)
        #expect(metrics.exposition().contains("fedchat_metrics_dropped_total 5\n"))
    }
}
