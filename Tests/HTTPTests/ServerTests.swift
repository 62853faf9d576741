import HTTPMessages
import HTTPServer
import HTTPTypes
import Logging
import Testing

@Suite("HTTP server") struct ServerTests {
    @Test func `two requests share a connection, and a pipelined one is answered after the first`() async throws {
        let answer = try await withServer { request in
            .text("\(request.method) \(request.head.path ?? "") \(request.remoteAddress)\n")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send(
                """
                GET /one?a HTTP/1.1\r\nHost: x\r\n\r\nDELETE /two HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc\
                GET /three HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n
                """)
            return try await socket.readToEnd()
        }

        let lines = answer.split(whereSeparator: \.isNewline).filter { $0.contains("127.0.0.1") }
        #expect(lines == ["GET /one?a 127.0.0.1", "DELETE /two 127.0.0.1", "GET /three 127.0.0.1"])
        #expect(answer.contains("Content-Length: 21\r\n"))
        #expect(answer.contains("Connection: close\r\n"))
        #expect(answer.contains("Date: "))
    }

    @Test(arguments: [10, 200_000, 1_000_000]) func `a body of any size is echoed`(size: Int) async throws {
        let answer = try await withServer { request in
            guard let bytes = try? await request.body.collect(upTo: 4_000_000) else {
                return .text("error", .badRequest)
            }
            return .text("\(bytes.count) \(bytes.allSatisfy { $0 == 3 })")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(size)\r\n\r\n")
            await socket.send([UInt8](repeating: 3, count: size))
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.hasSuffix("\r\n\r\n\(size) true"))
    }

    @Test func `a chunked request body is joined`() async throws {
        let answer = try await withServer { request in
            .text(String(decoding: (try? await request.body.collect(upTo: 100)) ?? [], as: UTF8.self))
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
            return try await socket.read(until: "abcde")
        }

        #expect(answer.hasSuffix("abcde"))
    }

    @Test func `a response of unknown length is chunked, and the connection goes on`() async throws {
        let answer = try await withServer { request in
            let count = Countdown(3)
            return OutgoingResponse(
                status: .ok, body: HTTPBody(length: nil) { () async throws(HTTPBodyError) in await count.next() })
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            let first = try await socket.read(until: "0\r\n\r\n")
            await socket.send("GET / HTTP/1.0\r\n\r\n")
            return (first, try await socket.readToEnd())
        }

        #expect(answer.0.contains("Transfer-Encoding: chunked\r\n"))
        #expect(answer.0.hasSuffix("\r\n\r\n4\r\nabcd\r\n4\r\nabcd\r\n4\r\nabcd\r\n0\r\n\r\n"))
        #expect(answer.1.hasSuffix("\r\n\r\nabcdabcdabcd"))
    }

    @Test func `HEAD has the length but no body, and 204 has neither`() async throws {
        let answer = try await withServer { request in
            request.head.path == "/empty" ? OutgoingResponse(status: .noContent) : .text("twelve bytes")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
            let head = try await socket.read(until: "\r\n\r\n")
            await socket.send("GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return (head, try await socket.readToEnd())
        }

        #expect(answer.0.contains("Content-Length: 12\r\n") && answer.0.hasSuffix("\r\n\r\n"))
        #expect(answer.1.hasPrefix("HTTP/1.1 204 No Content\r\n") && answer.1.hasSuffix("\r\n\r\n"))
        #expect(!answer.1.contains("Content-Length"))
    }

    @Test(arguments: [
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", true, "192.0.2.7 true"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: [2001:db8::1]:99\r\n", true, "2001:db8::1 false"),
        ("X-Forwarded-For: nonsense\r\n", true, "127.0.0.1 false"),
        ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n", false, "127.0.0.1 false"),
    ])
    func `a proxy is believed only where it is trusted`(fields: String, trusted: Bool, expected: String) async throws {
        let answer = try await withServer(trustsForwarded: trusted) { request in
            .text("\(request.remoteAddress) \(request.isSecure)")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\(fields)\r\n")
            return try await socket.readToEnd()
        }

        #expect(answer.hasSuffix("\r\n\r\n\(expected)"))
    }

    @Test func `a client that waits for 100 gets it once the body is wanted`() async throws {
        let answer = try await withServer { request in
            guard request.head.path == "/wanted" else { return .text("no", .unauthorized) }
            return .text("\((try? await request.body.collect(upTo: 200_000))?.count ?? -1)")
        } _: { port, _ in
            let wanted = try await RawSocket(port: port)
            await wanted.send(
                "PUT /wanted HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
            let go = try await wanted.read(until: "\r\n\r\n")
            await wanted.send([UInt8](repeating: 1, count: 100_000))
            let unwanted = try await RawSocket(port: port)
            await unwanted.send("PUT /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n")
            return (go, try await wanted.read(until: "100000"), try await unwanted.readToEnd())
        }

        #expect(answer.0 == "HTTP/1.1 100 Continue\r\n\r\n")
        #expect(answer.1.hasPrefix("HTTP/1.1 200") && answer.1.hasSuffix("100000"))
        #expect(answer.2.hasPrefix("HTTP/1.1 401") && answer.2.contains("Connection: close"))
    }

    @Test func `a long poll ends when its client goes away`() async throws {
        let notes = Notes<String>()
        try await withServer { request in
            notes.add("waits")
            try? await Task.sleep(for: .seconds(60))
            notes.add(Task.isCancelled ? "cancelled" : "slept")
            return .text("late")
        } _: { port, _ in
            do {
                let socket = try await RawSocket(port: port)
                await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(await notes.next() == "waits")
            }
            #expect(await notes.next() == "cancelled")
        }
    }

    @Test func `stopping closes idle connections, ends long polls and lets them answer`() async throws {
        let notes = Notes<String>()
        try await withServer { request in
            notes.add("waits")
            try? await Task.sleep(for: .seconds(60))
            return .text(Task.isCancelled ? "cancelled" : "slept")
        } _: { port, server in
            let idle = try await RawSocket(port: port)
            let waiting = try await RawSocket(port: port)
            await waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await notes.next() == "waits")

            server.stop()

            #expect(try await idle.readToEnd().isEmpty)
            let answer = try await waiting.readToEnd()
            #expect(answer.hasSuffix("cancelled") && answer.contains("Connection: close"))
        }
    }

    @Test func `a handler that does not end is left behind at the deadline`() async throws {
        var limits = HTTPServerLimits()
        limits.shutdownDeadline = .milliseconds(200)
        let release = Notes<Void>()
        let notes = Notes<String>()
        try await withServer(limits: limits) { request in
            notes.add("waits")
            await withCheckedContinuation { continuation in
                Task.detached {
                    _ = await release.next()
                    continuation.resume()
                }
            }
            return .text("late")
        } _: { port, server in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(await notes.next() == "waits")
            server.stop()
            #expect(try await socket.readToEnd().isEmpty)
        }
        release.add(())
    }

    @Test func `a port that is taken is an error that names it`() async throws {
        try await withServer { _ in
            .text("")
        } _: { port, _ in
            let second = try HTTPServer(
                listeners: [HTTPListener(bind: "127.0.0.1", port: port, handler: ClosureHandler { _ in .text("") })],
                logger: .init(label: "test"))
            await #expect {
                try await second.run()
            } throws: { error in
                guard case .cannotListen("127.0.0.1", port, _)? = error as? HTTPServerError else { return false }
                return true
            }
        }
    }

    @Test func `a short stream breaks the connection instead of looking complete`() async throws {
        let answer = try await withServer { _ in
            let count = Countdown(1)
            return OutgoingResponse(
                status: .ok, body: HTTPBody(length: 8) { () async throws(HTTPBodyError) in await count.next() })
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return try await socket.readToEnd()
        }

        #expect(answer.hasSuffix("\r\n\r\nabcd"))
    }
}

/// So many chunks.
private actor Countdown {
    private var left: Int

    init(_ count: Int) { left = count }

    func next() -> [UInt8]? {
        guard left > 0 else { return nil }
        left -= 1
        return Array("abcd".utf8)
    }
}
