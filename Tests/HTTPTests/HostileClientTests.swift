import HTTPMessages
import HTTPServer
import HTTPTypes
import Testing

@Suite("HTTP server and hostile clients") struct HostileClientTests {
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: x\r\nX-Big: \(String(repeating: "a", count: 40_000))\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: x\r\n\(String(repeating: "X-Y: z\r\n", count: 500))\r\n", 431),
        ("GET /\(String(repeating: "a", count: 40_000)) HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\(String(repeating: "X-Long-Name: \(String(repeating: "z", count: 900))\r\n", count: 60))\r\n",
            431
        ),
        ("GARBAGE\r\n\r\n", 400),
        ("\u{0}\u{1}\u{2}\u{3}\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ])
    func `what is not a good request is refused and the connection closed`(text: String, status: Int) async throws {
        let notes = Notes<String>()
        let answer = try await withServer { request in
            notes.add(request.head.path ?? "")
            return .text("handled")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send(text)
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
        #expect(answer.contains("Connection: close\r\n"))
        #expect(notes.all.isEmpty)
    }

    @Test func `a header without end is cut off in time`() async throws {
        var limits = HTTPServerLimits()
        limits.headerTimeout = .milliseconds(100)
        let answer = try await withServer(limits: limits) { _ in
            .text("handled")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: ")
            return try await socket.readToEnd()
        }

        #expect(answer.isEmpty)
    }

    @Test func `an idle connection is closed in time`() async throws {
        var limits = HTTPServerLimits()
        limits.idleTimeout = .milliseconds(100)
        let answer = try await withServer(limits: limits) { _ in
            .text("handled")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return try await socket.readToEnd()
        }

        #expect(answer.hasSuffix("handled"))
    }

    @Test(arguments: [1000, 1_000_000]) func `a body that stalls is given up`(length: Int) async throws {
        var limits = HTTPServerLimits()
        limits.bodyStallTimeout = .milliseconds(100)
        let answer = try await withServer(limits: limits) { request in
            do throws(HTTPBodyError) {
                return .text("\(try await request.body.collect(upTo: 2_000_000).count)")
            } catch {
                return .text("\(error)", .requestTimeout)
            }
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: \(length)\r\n\r\nabc")
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 408 "))
        #expect(answer.hasSuffix(length > 100_000 ? "timedOut" : "\r\n\r\n"))
    }

    @Test func `a body that drips is cut off though it never stalls`() async throws {
        var limits = HTTPServerLimits()
        limits.bodyGrace = .milliseconds(300)
        limits.bodyStallTimeout = .seconds(5)
        let answer = try await withServer(limits: limits) { _ in
            .text("handled")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            for _ in 0..<10 {
                await socket.send("a")
                try await Task.sleep(for: .milliseconds(50))
            }
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 408 "))
    }

    @Test func `a client that goes away in its body is told apart from the end`() async throws {
        let notes = Notes<String>()
        try await withServer { request in
            do throws(HTTPBodyError) {
                notes.add("\(try await request.body.collect(upTo: 2_000_000).count)")
            } catch {
                notes.add("\(error)")
            }
            return .text("")
        } _: { port, _ in
            do {
                let socket = try await RawSocket(port: port)
                await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc")
            }
            #expect(await notes.next() == "disconnected")
        }
    }

    @Test func `a broken chunk ends the body with an error`() async throws {
        let answer = try await withServer { request in
            do throws(HTTPBodyError) {
                return .text("\(try await request.body.collect(upTo: 2_000_000).count)")
            } catch {
                return .text("\(error)", .badRequest)
            }
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 400 ") && answer.hasSuffix("disconnected"))
    }

    @Test func `a body that nobody reads is not taken in`() async throws {
        let answer = try await withServer { _ in
            .text("no", .contentTooLarge)
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
            await socket.send([UInt8](repeating: 1, count: 2_000_000))
            return try await socket.readToEnd()
        }

        #expect(answer.hasPrefix("HTTP/1.1 413 ") && answer.hasSuffix("no"))
    }

    @Test func `a handler that does not read makes the client wait, without timing it out`() async throws {
        var limits = HTTPServerLimits()
        limits.bodyStallTimeout = .seconds(4)
        let answer = try await withServer(limits: limits) { request in
            try? await Task.sleep(for: .milliseconds(5000))
            return .text("\((try? await request.body.collect(upTo: 20_000_000))?.count ?? -1)")
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8000000\r\n\r\n")
            await socket.send([UInt8](repeating: 1, count: 8_000_000))
            return try await socket.readToEnd()
        }

        #expect(answer.hasSuffix("8000000"))
    }

    @Test func `a client that never reads is given up`() async throws {
        var limits = HTTPServerLimits()
        limits.writeStallTimeout = .milliseconds(200)
        let notes = Notes<String>()
        try await withServer(limits: limits) { request in
            let chunk = [UInt8](repeating: 1, count: 1_000_000)
            return OutgoingResponse(
                status: .ok,
                body: HTTPBody(length: nil) { () async throws(HTTPBodyError) in
                    if Task.isCancelled {
                        notes.add("cancelled")
                        return nil
                    }
                    notes.add("chunk")
                    return chunk
                })
        } _: { port, _ in
            let socket = try await RawSocket(port: port)
            await socket.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(try await socket.read(until: "HTTP").hasPrefix("HTTP"))
            // The kernel's buffers are bounded, so the source stops; then the server gives up.
            try await Task.sleep(for: .milliseconds(1500))
            #expect(notes.all.count < 100)
            #expect((try? await socket.readToEnd()) != nil)
        }
    }
}
