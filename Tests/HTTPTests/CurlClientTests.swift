import HTTPClientCurl
import HTTPMessages
import HTTPServer
import HTTPTypes
import Testing

private func local(_ port: Int, _ change: (inout ClientRequest) -> Void = { _ in }) -> ClientRequest {
    var request = ClientRequest(scheme: "http", host: "127.0.0.1", port: port, timeout: .seconds(20))
    request.allowPrivateAddresses = true
    change(&request)
    return request
}

@Suite("HTTP client") struct CurlClientTests {
    @Test(arguments: [HTTPRequest.Method.get, .put, .post, .delete, .patch, .options])
    func `method, target, fields and body arrive, and come back`(method: HTTPRequest.Method) async throws {
        let client = try CurlClient()
        let body: [UInt8] = method == .get ? [] : Array("{\"a\":1}".utf8)
        let response = try await withServer { request in
            let sent = (try? await request.body.collect(upTo: 1000)) ?? []
            let head = request.head
            var fields: HTTPFields = [.contentType: head.headerFields[.contentType] ?? "none"]
            if let name = HTTPField.Name("X-Seen") {
                fields[name] =
                    "\(head.method) \(head.path ?? "") \(head.headerFields[.authorization] ?? "") \(head.authority ?? "")"
            }
            return OutgoingResponse(status: .init(code: 418), fields: fields, body: HTTPBody(sent))
        } _: { port, _ in
            try await client.send(
                local(port) {
                    $0.method = method
                    $0.pathAndQuery = "/a/../b%2F?c=%20"
                    $0.body = body
                    $0.fields[.authorization] = "Bearer x"
                    if !body.isEmpty { $0.fields[.contentType] = "application/json" }
                })
        }

        #expect(response.status == 418)
        #expect(response.body == body)
        #expect(response.fields[.contentType] == (body.isEmpty ? "none" : "application/json"))
        let seen = HTTPField.Name("x-seen").flatMap { response.fields[$0] } ?? ""
        #expect(seen.hasPrefix("\(method) /a/../b%2F?c=%20 Bearer x 127.0.0.1:"))
        client.shutDown()
    }

    @Test func `a body larger than allowed is refused, announced or not`() async throws {
        let client = try CurlClient()
        try await withServer { request in
            let bytes = [UInt8](repeating: 1, count: 5000)
            if request.head.path == "/known" { return OutgoingResponse(status: .ok, body: HTTPBody(bytes)) }
            let once = Once(bytes)
            return OutgoingResponse(
                status: .ok, body: HTTPBody(length: nil) { () async throws(HTTPBodyError) in await once.take() })
        } _: { port, _ in
            for path in ["/known", "/unknown"] {
                await #expect(throws: HTTPClientError.responseTooLarge) {
                    try await client.send(
                        local(port) {
                            $0.pathAndQuery = path
                            $0.maximumResponseBytes = 4999
                        })
                }
                let fits = try await client.send(
                    local(port) {
                        $0.pathAndQuery = path
                        $0.maximumResponseBytes = 5000
                    })
                #expect(fits.body.count == 5000)
            }
        }
    }

    @Test func `a server that does not answer is given up in time`() async throws {
        let client = try CurlClient()
        try await withServer { _ in
            try? await Task.sleep(for: .seconds(60))
            return .text("late")
        } _: { port, _ in
            await #expect(throws: HTTPClientError.timedOut) {
                try await client.send(local(port) { $0.timeout = .milliseconds(300) })
            }
        }
    }

    @Test func `cancelling the task ends the transfer`() async throws {
        let client = try CurlClient()
        let notes = Notes<String>()
        try await withServer { _ in
            notes.add("waits")
            try? await Task.sleep(for: .seconds(60))
            notes.add("gone")
            return .text("late")
        } _: { port, _ in
            let result = await withTaskGroup(of: Result<Int, HTTPClientError>.self) { group in
                group.addTask {
                    do throws(HTTPClientError) {
                        return .success(try await client.send(local(port)).status)
                    } catch {
                        return .failure(error)
                    }
                }
                #expect(await notes.next() == "waits")
                group.cancelAll()
                return await group.next()
            }
            #expect(result == .failure(.cancelled))
            #expect(await notes.next() == "gone")
        }
    }

    @Test(arguments: ["127.0.0.1", "localhost", "::1", "0.0.0.0", "::ffff:127.0.0.1", "[::1]", "2130706433"])
    func `loopback is refused by every name, also over a connection that is kept`(host: String) async throws {
        let client = try CurlClient()
        let notes = Notes<String>()
        try await withServer { _ in
            notes.add("asked")
            return .text("secret")
        } _: { port, _ in
            _ = try? await client.send(local(port) { $0.host = host })
            let before = notes.all.count
            await #expect(throws: HTTPClientError.refusedAddress) {
                try await client.send(
                    local(port) {
                        $0.host = host
                        $0.allowPrivateAddresses = false
                    })
            }
            #expect(notes.all.count == before)
        }
    }

    @Test func `delegation and redirects do not lead to refused addresses either`() async throws {
        let client = try CurlClient()
        await #expect(throws: HTTPClientError.refusedAddress) {
            try await client.send(
                ClientRequest(
                    scheme: "http", host: "matrix.example", port: 80, connectTo: .init(host: "127.0.0.1", port: 9)))
        }
    }

    @Test func `a delegated host keeps its name`() async throws {
        let client = try CurlClient()
        let response = try await withServer {
            .text($0.head.authority ?? "")
        } _: { port, _ in
            try await client.send(
                local(80) {
                    $0.host = "matrix.example"
                    $0.connectTo = ConnectionTarget(host: "127.0.0.1", port: port)
                })
        }
        #expect(String(decoding: response.body, as: UTF8.self) == "matrix.example")
    }

    @Test func `redirects are followed as often as allowed`() async throws {
        let client = try CurlClient()
        try await withServer { request in
            guard let path = request.head.path, let count = Int(path.dropFirst()), count > 0 else {
                return .text("end")
            }
            return OutgoingResponse(status: .found, fields: [.location: "/\(count - 1)"], body: HTTPBody("moved"))
        } _: { port, _ in
            let none = try await client.send(local(port) { $0.pathAndQuery = "/2" })
            #expect(none.status == 302 && none.fields[.location] == "/1")
            let followed = try await client.send(
                local(port) {
                    $0.pathAndQuery = "/2"
                    $0.followRedirects = 2
                })
            #expect(followed.status == 200 && followed.body == Array("end".utf8))
            #expect(followed.effectiveURL.hasSuffix("/0"))
            await #expect(throws: HTTPClientError.self) {
                try await client.send(
                    local(port) {
                        $0.pathAndQuery = "/3"
                        $0.followRedirects = 2
                    })
            }
        }
    }

    @Test(arguments: [
        ("a b", "/"), ("a/b", "/"), ("u@h", "/"), ("", "/"), ("h", ""), ("h", "x"), ("h", "/a b"), ("h", "/a\r\nX: y"),
        ("h", "/#f"), ("ä", "/"),
    ])
    func `a request that cannot be a URL is refused`(host: String, path: String) async throws {
        let client = try CurlClient()
        await #expect(throws: HTTPClientError.self) {
            try await client.send(ClientRequest(host: host, pathAndQuery: path))
        }
    }

    @Test func `a closed port is an error, and so is what is not HTTP`() async throws {
        let client = try CurlClient()
        await #expect {
            try await client.send(local(1))
        } throws: {
            if case .couldNotConnect? = $0 as? HTTPClientError { true } else { false }
        }
    }

    @Test func `more requests than may wait are refused, and all others are answered`() async throws {
        var configuration = CurlClient.Configuration()
        configuration.limits.maximumTransfers = 4
        configuration.limits.maximumWaiting = 4
        configuration.limits.maximumConnectionsPerHost = 2
        let client = try CurlClient(configuration)
        let results = try await withServer { _ in
            try? await Task.sleep(for: .milliseconds(50))
            return .text("ok")
        } _: { port, _ in
            await withTaskGroup(of: String.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        do throws(HTTPClientError) {
                            return "\(try await client.send(local(port)).status)"
                        } catch {
                            return "\(error)"
                        }
                    }
                }
                return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
            }
        }

        #expect(Set(results.keys) == ["200", "overloaded"])
        #expect((results["200"] ?? 0) >= 8)
    }

    @Test func `a client that is shut down ends what runs and refuses the rest`() async throws {
        let client = try CurlClient()
        let notes = Notes<String>()
        try await withServer { _ in
            notes.add("waits")
            try? await Task.sleep(for: .seconds(60))
            return .text("late")
        } _: { port, _ in
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await #expect(throws: HTTPClientError.cancelled) { try await client.send(local(port)) }
                }
                #expect(await notes.next() == "waits")
                client.shutDown()
            }
            await #expect(throws: HTTPClientError.cancelled) { try await client.send(local(port)) }
        }
    }
}

private actor Once {
    private var bytes: [UInt8]?

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func take() -> [UInt8]? {
        defer { bytes = nil }
        return bytes
    }
}
