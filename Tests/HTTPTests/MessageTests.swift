import HTTPMessages
import Testing

@Suite("HTTP messages") struct MessageTests {
    @Test func `a query is read in its order, and a name may come again`() {
        let query = PathAndQuery("/p?a=b&c=&a=d%20e+f&g&=h&%zz=1&k=%ff#x").query

        #expect(query.all("a") == ["b", "d e f"])
        #expect(query["c"] == "")
        #expect(query["g"] == "")
        #expect(query["k"] == nil)
        #expect(query.items.count == 5)
    }

    @Test(arguments: [
        ("/", [""]), ("/a/b", ["a", "b"]), ("/a/", ["a", ""]), ("/a%2Fb/c+d", ["a/b", "c+d"]),
        ("/%21r%3Ax?y=/z", ["!r:x"]), ("https://h:1/a?b", ["a"]),
    ])
    func `a path is split before it is decoded`(target: String, segments: [String]) {
        #expect(PathAndQuery(target).segments == segments)
    }

    @Test(arguments: ["", "*", "a", "/%", "/%1", "/%g0", "/%ff", "https://h"])
    func `a bad path has no segments`(target: String) {
        #expect(PathAndQuery(target).segments == nil)
    }

    @Test func `what is encoded is decoded again`() {
        let query: QueryItems = ["a b": "ü&=+%/?#", "": "~-._"]
        let target = PathAndQuery.encode(segments: ["_matrix", "!r/:h ", "+"], query: query)

        #expect(target.utf8.allSatisfy { $0 > 32 && $0 < 127 })
        #expect(PathAndQuery(target).segments == ["_matrix", "!r/:h ", "+"])
        #expect(PathAndQuery(target).query == query)
    }

    @Test func `no more items are read than the limit`() {
        let query = QueryItems(parsing: String(repeating: "a&", count: 5000))

        #expect(query.items.count == HTTPMessageLimits.maximumQueryItems)
    }

    @Test func `a body is collected up to its limit`() async throws {
        let numbers = AsyncStream<[UInt8]> { continuation in
            for number in 0..<10 { continuation.yield([UInt8](repeating: UInt8(number), count: 10)) }
            continuation.finish()
        }
        let chunks = Chunks(count: 10)

        #expect(try await HTTPBody([1, 2]).collect(upTo: 2) == [1, 2])
        #expect(try await HTTPBody(length: nil, next: chunks.next).collect(upTo: 100).count == 100)
        await #expect(throws: HTTPBodyError.tooLarge) { try await HTTPBody([1, 2]).collect(upTo: 1) }
        await #expect(throws: HTTPBodyError.tooLarge) {
            try await HTTPBody(length: nil, next: Chunks(count: 10).next).collect(upTo: 99)
        }
        await #expect(throws: HTTPBodyError.tooLarge) {
            try await HTTPBody(length: 100, next: Chunks(count: 0).next).collect(upTo: 99)
        }
        var total = 0
        for await chunk in numbers { total += chunk.count }
        #expect(total == 100)
    }
}

/// So many chunks of ten bytes.
private actor Chunks {
    private var left: Int

    init(count: Int) { left = count }

    @Sendable nonisolated func next() async throws(HTTPBodyError) -> [UInt8]? { await take() }

    private func take() -> [UInt8]? {
        guard left > 0 else { return nil }
        left -= 1
        return [UInt8](repeating: 7, count: 10)
    }
}
