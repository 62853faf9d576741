internal import HTTPMessages

/// A multipart answer that is read as it comes: what stands before the file at once, the file piece by piece. Never more of
/// it is in memory than a piece and what may be the beginning of a delimiter.
actor MultipartFile {
    let fields: [String: String]
    private let delimiter: [UInt8]
    private var chunks: HTTPBodyChunks.Iterator
    /// What has come and was not given.
    private var held: [UInt8]
    private var isAtEnd = false

    /// Reads up to where the file begins. Throws `MultipartMixed.Malformed` and what the body does.
    init(_ body: HTTPBody, boundary: String) async throws {
        var chunks = body.chunks.makeAsyncIterator()
        var held: [UInt8] = []
        var tried = 0
        var found: MultipartMixed.Beginning?
        while found == nil {
            let chunk = try await chunks.next()
            held += chunk ?? []
            // Tried again only when a good deal has come, so that a body of single bytes costs little.
            guard chunk == nil || held.count >= tried + 1_024 || tried == 0 else { continue }
            tried = held.count
            do { found = try MultipartMixed.beginning(of: held, boundary: boundary) } catch {
                guard chunk != nil, held.count < MediaLimits.multipartOverhead else { throw error }
            }
        }
        held.removeFirst(found?.position ?? 0)
        fields = found?.fields ?? [:]
        delimiter = MultipartMixed.delimiter(boundary)
        self.chunks = chunks
        self.held = held
    }

    /// The file. A body that does not end as it should is ``HTTPBodyError/disconnected``.
    nonisolated var body: HTTPBody {
        HTTPBody(length: nil) { () async throws(HTTPBodyError) in try await self.next() }
    }

    /// Called by one task, which waits for each.
    private func next() async throws(HTTPBodyError) -> [UInt8]? {
        while !isAtEnd {
            if let end = MultipartMixed.find(delimiter, in: held, from: 0, upTo: held.count) {
                isAtEnd = true
                let last = Array(held[..<end])
                let rest = Array(held[(end + delimiter.count)...])
                held = []
                try await readEnd(rest)
                return last.isEmpty ? nil : last
            }
            // All but what may be the beginning of the delimiter.
            let given = held.count - (delimiter.count - 1)
            if given > 0 {
                let piece = Array(held[..<given])
                held.removeFirst(given)
                return piece
            }
            guard let chunk = try await more() else { throw .disconnected }
            held += chunk
        }
        return nil
    }

    /// After the last delimiter stand two hyphens; whatever follows is passed over.
    private func readEnd(_ rest: [UInt8]) async throws(HTTPBodyError) {
        var rest = rest
        while rest.count < 2 {
            guard let chunk = try await more() else { throw .disconnected }
            rest += chunk
        }
        guard rest.starts(with: [0x2D, 0x2D]) else { throw .disconnected }
    }

    private func more() async throws(HTTPBodyError) -> [UInt8]? {
        var taken = chunks
        let chunk = try await taken.next()
        chunks = taken
        return chunk
    }
}
