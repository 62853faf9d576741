import HTTPClientCurl
import HTTPMessages
import HTTPServer
import HTTPTypes
import Synchronization
import Testing

@Suite("Responses as they come") struct StreamingTests {
    private func request(_ port: Int, maximum: Int = 1 << 30, timeout: Duration = .seconds(30)) -> ClientRequest {
        ClientRequest(
            scheme: "http", host: "127.0.0.1", port: port, timeout: timeout, maximumResponseBytes: maximum,
            allowPrivateAddresses: true)
    }

    /// A body of so many pieces of 64 KiB, and how many of them were asked for.
    private func body(pieces: Int, _ asked: Counted) -> HTTPBody {
        HTTPBody(length: nil) { () throws(HTTPBodyError) in
            let number = asked.next()
            return number <= pieces ? [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 65_536) : nil
        }
    }

    private final class Counted: Sendable {
        private let count = Mutex(0)
        var value: Int { count.withLock { $0 } }
        func next() -> Int {
            count.withLock {
                $0 += 1
                return $0
            }
        }
    }

    @Test func `a body arrives whole, and no faster than it is taken`() async throws {
        let client = try CurlClient()
        let asked = Counted()
        try await withServer { [self] _ in
            OutgoingResponse(status: .ok, fields: [.contentType: "a/b"], body: body(pieces: 1_600, asked))
        } _: { port, _ in
            let response = try await client.stream(request(port))
            #expect(response.status == 200 && response.fields[.contentType] == "a/b")
            var chunks = response.body.chunks.makeAsyncIterator()
            var sum = try await chunks.next()?.count ?? 0
            try await Task.sleep(for: .milliseconds(500))
            // 100 MiB are there to be had; what nobody takes is not sent, but for what sockets hold.
            #expect(asked.value < 400)
            while let chunk = try await chunks.next() {
                #expect(chunk.count <= 2 << 20)
                sum += chunk.count
            }
            #expect(sum == 1_600 * 65_536)
        }
    }

    @Test func `one that is let go ends, and the client goes on`() async throws {
        let client = try CurlClient()
        let asked = Counted()
        try await withServer { [self] _ in
            OutgoingResponse(status: .ok, body: body(pieces: 100_000, asked))
        } _: { port, _ in
            for _ in 0..<20 {
                let response = try await client.stream(request(port))
                var chunks = response.body.chunks.makeAsyncIterator()
                #expect(try await chunks.next() != nil)
            }
            #expect(asked.value < 50_000)
        }
    }

    @Test func `statuses, empty bodies and failures are told`() async throws {
        let client = try CurlClient()
        let asked = Counted()
        try await withServer { [self] incoming in
            switch incoming.head.path {
            case "/empty": return OutgoingResponse(status: .init(code: 404))
            case "/long": return OutgoingResponse(status: .ok, body: body(pieces: 100, asked))
            default:
                let left = Mutex(3)
                return OutgoingResponse(
                    status: .ok,
                    body: HTTPBody(length: 1_000_000) { () async throws(HTTPBodyError) in
                        let isOver = left.withLock {
                            $0 -= 1
                            return $0 < 0
                        }
                        if isOver { throw .disconnected }
                        return [UInt8](repeating: 1, count: 1_000)
                    })
            }
        } _: { port, _ in
            var wanted = request(port)
            wanted.pathAndQuery = "/empty"
            let empty = try await client.stream(wanted)
            #expect(empty.status == 404)
            #expect(try await empty.body.collect(upTo: 10).isEmpty)

            wanted = request(port, maximum: 1_000_000)
            wanted.pathAndQuery = "/long"
            let long = try await client.stream(wanted)
            await #expect(throws: HTTPBodyError.tooLarge) { try await long.body.collect(upTo: 1 << 30) }

            let broken = try await client.stream(request(port))
            await #expect(throws: HTTPBodyError.disconnected) { try await broken.body.collect(upTo: 1 << 30) }

            await #expect(throws: HTTPClientError.refusedAddress) {
                var refused = request(port)
                refused.allowPrivateAddresses = false
                return try await client.stream(refused)
            }
        }
        await #expect(throws: HTTPClientError.self) { try await client.stream(request(1)) }
    }
}
