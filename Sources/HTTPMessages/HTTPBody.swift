/// The body of a request or response: bytes at hand, or a stream of chunks that is read once.
public struct HTTPBody: Sendable {
    /// Gives the next chunk, which is never empty, or `nil` at the end.
    public typealias Next = @Sendable () async throws(HTTPBodyError) -> [UInt8]?

    enum Storage: Sendable {
        case bytes([UInt8])
        case stream(Next)
    }

    let storage: Storage

    /// The count of bytes if it is known: for a stream, what a Content-Length announces.
    public let length: Int?

    /// A body of no bytes.
    public static let empty = HTTPBody([])

    /// A body of bytes at hand. The array is shared, not copied, so one body may answer many requests.
    public init(_ bytes: [UInt8]) {
        storage = .bytes(bytes)
        length = bytes.count
    }

    /// A body of text, as UTF-8.
    public init(_ text: String) {
        self.init(Array(text.utf8))
    }

    /// A body whose chunks are asked for one after the other; the next only when the last was passed on, so a
    /// slow receiver slows the source.
    /// - Parameters:
    ///   - length: the count of bytes of all chunks, if known; a response without one is sent chunked.
    ///   - next: gives the next chunk, or `nil` at the end; never called again after `nil` or an error.
    public init(length: Int?, next: @escaping Next) {
        storage = .stream(next)
        self.length = length
    }

    /// A body read from an asynchronous sequence of chunks, which is iterated once. An error of the sequence that
    /// is not an `HTTPBodyError` is reported as ``HTTPBodyError/disconnected``.
    public init<Stream: AsyncSequence & Sendable>(
        stream: Stream, length: Int?
    ) where Stream.Element == [UInt8], Stream.AsyncIterator: Sendable {
        let source = ChunkSource(stream.makeAsyncIterator())
        self.init(length: length) { () async throws(HTTPBodyError) in try await source.next() }
    }

    /// The bytes, where they are at hand without waiting.
    public var bytesAtHand: [UInt8]? {
        if case .bytes(let bytes) = storage { return bytes }
        return nil
    }

    /// Reads the whole body.
    /// - Parameter maximum: the most bytes that are accepted.
    /// - Throws: ``HTTPBodyError/tooLarge`` as soon as more than `maximum` are announced or received.
    public func collect(upTo maximum: Int) async throws(HTTPBodyError) -> [UInt8] {
        if let length, length > maximum { throw .tooLarge }
        switch storage {
        case .bytes(let bytes):
            return bytes
        case .stream(let next):
            guard var collected = try await next() else { return [] }
            guard collected.count <= maximum else { throw .tooLarge }
            while let chunk = try await next() {
                guard chunk.count <= maximum - collected.count else { throw .tooLarge }
                collected += chunk
            }
            return collected
        }
    }

    /// The chunks of the body, in order. A stream can be read only once.
    public var chunks: HTTPBodyChunks { HTTPBodyChunks(storage: storage) }
}

/// The chunks of a body as an asynchronous sequence; its iterator throws ``HTTPBodyError``.
public struct HTTPBodyChunks: AsyncSequence, Sendable {
    public typealias Element = [UInt8]
    public typealias Failure = HTTPBodyError

    let storage: HTTPBody.Storage

    /// Reads from the place where the stream is; bytes at hand are one chunk.
    public func makeAsyncIterator() -> Iterator { Iterator(storage: storage) }

    public struct Iterator: AsyncIteratorProtocol, Sendable {
        var storage: HTTPBody.Storage?

        /// The next chunk, not empty, or `nil` at the end.
        public mutating func next() async throws(HTTPBodyError) -> [UInt8]? {
            try await next(isolation: nil)
        }

        /// The next chunk, not empty, or `nil` at the end.
        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(HTTPBodyError) -> [UInt8]? {
            switch storage {
            case .bytes(let bytes):
                storage = nil
                return bytes.isEmpty ? nil : bytes
            case .stream(let next):
                let chunk: [UInt8]?
                do throws(HTTPBodyError) {
                    chunk = try await next()
                } catch {
                    storage = nil
                    throw error
                }
                if chunk == nil { storage = nil }
                return chunk
            case nil:
                return nil
            }
        }
    }
}

/// An iterator that successive calls share.
private actor ChunkSource<Iterator: AsyncIteratorProtocol & Sendable> where Iterator.Element == [UInt8] {
    private var iterator: Iterator?

    init(_ iterator: Iterator) {
        self.iterator = iterator
    }

    func next() async throws(HTTPBodyError) -> [UInt8]? {
        // Taken out while it works: a second call at the same time finds the end instead of a race.
        guard var working = iterator else { return nil }
        iterator = nil
        do {
            while let chunk = try await working.next() {
                if chunk.isEmpty { continue }
                iterator = working
                return chunk
            }
            return nil
        } catch {
            throw (error as? HTTPBodyError) ?? .disconnected
        }
    }
}
