import HTTPClientCurl
import HTTPMessages
import HTTPServer
import HTTPTypes
import Logging
import Testing

@Suite("HTTP over TLS") struct TLSTests {
    private func secure(_ port: Int, host: String = "a.test") -> ClientRequest {
        var request = ClientRequest(host: host, timeout: .seconds(20))
        request.connectTo = ConnectionTarget(host: "127.0.0.1", port: port)
        request.allowPrivateAddresses = true
        return request
    }

    private func isTLS(_ error: any Error) -> Bool {
        if case .tls? = error as? HTTPClientError { true } else { false }
    }

    @Test func `an added authority is trusted, for the right name only, and certificates are reloaded`() async throws {
        let authority = try await TestAuthority()
        let tls = try await authority.certificate("server", for: "DNS:a.test")
        var configuration = CurlClient.Configuration()
        configuration.customAuthorityFiles = [authority.certificatePath]
        let client = try CurlClient(configuration)
        let stranger = try CurlClient()
        try await withServer(tls: tls) {
            .text("\($0.isSecure) \($0.head.authority ?? "")")
        } _: { port, server in
            let answer = try await client.send(secure(port))
            #expect(String(decoding: answer.body, as: UTF8.self) == "true a.test")
            await #expect { try await client.send(secure(port, host: "b.test")) } throws: { isTLS($0) }
            await #expect { try await stranger.send(secure(port)) } throws: { isTLS($0) }
            var careless = secure(port, host: "b.test")
            careless.verifyTLS = false
            #expect(try await stranger.send(careless).status == 200)
            await #expect { try await client.send(secure(port, host: "b.test")) } throws: { isTLS($0) }

            let other = try await authority.certificate("server", for: "DNS:b.test")
            #expect(other == tls)
            try server.reloadCertificates()

            #expect(try await client.send(secure(port, host: "b.test")).status == 200)
        }
    }

    @Test func `a bad certificate is an error at start, and at a reload the old one stays`() async throws {
        let authority = try await TestAuthority()
        let tls = try await authority.certificate("server", for: "DNS:a.test")
        let other = try await authority.certificate("other", for: "DNS:a.test")
        let missing = HTTPListener.TLS(certificatePath: "/nowhere.crt", privateKeyPath: tls.privateKeyPath)
        let mixed = HTTPListener.TLS(
            certificatePath: tls.certificatePath, privateKeyPath: other.privateKeyPath)
        for bad in [missing, mixed] {
            #expect(throws: HTTPServerError.self) {
                try HTTPServer(
                    listeners: [HTTPListener(port: 0, tls: bad, handler: ClosureHandler { _ in .text("") })],
                    logger: .init(label: "test"))
            }
        }
        #expect(throws: HTTPClientError.self) {
            var configuration = CurlClient.Configuration()
            configuration.customAuthorityFiles = [tls.privateKeyPath]
            _ = try CurlClient(configuration)
        }
    }

    @Test func `a connection is used again, also over TLS`() async throws {
        let authority = try await TestAuthority()
        let tls = try await authority.certificate("server", for: "DNS:a.test")
        var configuration = CurlClient.Configuration()
        configuration.customAuthorityFiles = [authority.certificatePath]
        configuration.limits.maximumConnectionsPerHost = 1
        let client = try CurlClient(configuration)
        var limits = HTTPServerLimits()
        limits.maximumConnections = 1
        // With place for one connection, a second one would wait for the idle timeout.
        try await withServer(limits: limits, tls: tls) { _ in
            .text("x")
        } _: { port, _ in
            for _ in 0..<5 {
                let answer = try await client.send(secure(port))
                #expect(answer.status == 200)
            }
            await withTaskGroup(of: Int?.self) { group in
                for _ in 0..<5 { group.addTask { try? await client.send(secure(port)).status } }
                for await status in group { #expect(status == 200) }
            }
        }
        client.shutDown()
    }

    @Test func `a long poll over TLS ends when its client goes away`() async throws {
        let authority = try await TestAuthority()
        let tls = try await authority.certificate("server", for: "DNS:a.test")
        let client = try CurlClient()
        let notes = Notes<String>()
        try await withServer(tls: tls) { _ in
            notes.add("waits")
            try? await Task.sleep(for: .seconds(60))
            notes.add(Task.isCancelled ? "cancelled" : "slept")
            return .text("late")
        } _: { port, _ in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    var request = secure(port)
                    request.verifyTLS = false
                    _ = try? await client.send(request)
                }
                #expect(await notes.next() == "waits")
                group.cancelAll()
            }
            #expect(await notes.next() == "cancelled")
        }
    }

    @Test(arguments: [
        [0x16], [0x16, 0x03, 0x01], [0x16, 0x03, 0x01, 0xFF, 0xFF, 0x01, 0x00], [0x80, 0x80, 0x01, 0x03, 0x01],
        Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [UInt8](repeating: 0x16, count: 100_000),
    ])
    func `what is not TLS ends the connection and nothing else`(bytes: [UInt8]) async throws {
        let authority = try await TestAuthority()
        let tls = try await authority.certificate("server", for: "DNS:a.test")
        var limits = HTTPServerLimits()
        limits.headerTimeout = .milliseconds(500)
        let bounded = limits
        let client = try CurlClient()
        try await withServer(limits: bounded, tls: tls) { _ in
            .text("handled")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send(bytes)
            let answer = try await socket.readToEnd()
            #expect(!answer.contains("handled"))
            var request = secure(port)
            request.verifyTLS = false
            #expect(try await client.send(request).status == 200)
        }
    }
}
