private import Glibc
internal import HTTPMessages
internal import Logging

/// Media in an S3-compatible store, under `ab/cd/` and the hash. What arrives is on this machine until it is there.
struct S3MediaStore: MediaStoring {
    private let client: S3Client
    /// A folder of this machine, for what a program is to read.
    private let spool: String
    private let threads: WorkerThreads
    private let logger: Logger
    private let uploads = Gate(MediaLimits.s3Uploads, maximumWaiting: MediaLimits.fileJobsWaiting)

    init(client: S3Client, spool: String, threads: WorkerThreads, logger: Logger) {
        self.client = client
        self.spool = spool
        self.threads = threads
        self.logger = logger
    }

    private static func key(_ hash: String) -> [String]? {
        MediaFiles.place(of: hash).map { $0.folder.split(separator: "/").map(String.init) + [hash] }
    }

    func keep(_ file: IncomingFile, _ hash: String) async throws {
        guard let key = Self.key(hash) else { throw FileFailure("hash", code: EINVAL) }
        let opened = try await threads.run { try file.reopened() }
        try await uploads.pass {
            guard opened.length > Int64(MediaLimits.s3Part) else {
                let bytes = try await read(opened, at: 0, count: Int(opened.length))
                return try await client.put(key, bytes)
            }
            let upload = try await client.beginParts(key)
            do {
                try await putParts(of: opened, upload, key)
            } catch {
                do { try await client.abandonParts(of: upload, key) } catch {
                    logger.warning("parts of an upload stay in the store", metadata: ["cause": "\(error)"])
                }
                throw error
            }
        }
    }

    /// One part after the other, so that only one is in memory.
    private func putParts(of file: OpenedFile, _ upload: String, _ key: [String]) async throws {
        let size = max(MediaLimits.s3Part, Int(file.length / MediaLimits.s3Parts) + 1)
        var tags: [String] = []
        var offset: Int64 = 0
        while offset < file.length {
            let bytes = try await read(file, at: offset, count: Int(min(Int64(size), file.length - offset)))
            tags.append(try await client.putPart(tags.count + 1, of: upload, key, bytes))
            offset += Int64(bytes.count)
        }
        try await client.finishParts(tags, of: upload, key)
    }

    private func read(_ file: OpenedFile, at offset: Int64, count: Int) async throws -> [UInt8] {
        let bytes = try await threads.run { try file.read(at: offset, count: count) }
        guard bytes.count == count else { throw FileFailure("read", code: EIO) }
        return bytes
    }

    func open(_ hash: String, length: Int64?) async throws -> StoredFile? {
        guard let key = Self.key(hash), let found = try await client.head(key) else { return nil }
        if let length, length != found.length {
            logger.error("an object in the store has another length", metadata: ["hash": "\(hash)"])
            return nil
        }
        return StoredFile(length: found.length, step: MediaLimits.s3Read) { [client] offset, count in
            try await client.get(key, offset: offset, count: count)
        }
    }

    func localFile(_ hash: String, maximum: Int64) async throws -> OpenedFile? {
        guard let stored = try await open(hash, length: nil), stored.length <= maximum else { return nil }
        let path = "\(spool)/incoming/\(hash).\(UInt64.random(in: 0...UInt64.max))"
        let copy = try await threads.run { [spool] in
            try MediaFiles.makeFolders([spool, "\(spool)/incoming"])
            return try IncomingFile(creating: path)
        }
        for try await piece in stored.body(0..<stored.length).chunks {
            try await threads.run { try copy.append(piece[...]) }
        }
        // Its name goes with `copy`; the bytes stay as long as the file is open.
        return try await threads.run { try copy.reopened() }
    }

    func hashes(beginning digits: String, after: String?) async throws -> [String] {
        var last = after.flatMap(Self.key)?.joined(separator: "/")
        for _ in 0..<MediaLimits.s3PagesAtOnce {
            let page = try await client.list(beginning: digits + "/", after: last)
            let found = page.keys.compactMap { key -> String? in
                let hash = String(key.suffix(64))
                return Self.key(hash)?.joined(separator: "/") == key ? hash : nil
            }
            guard found.isEmpty, page.hasMore, let end = page.keys.last else { return found }
            last = end
        }
        return []
    }

    func remove(
        _ hash: String, unlessKeptSince time: Int64, orWanted: @Sendable () async throws -> Bool
    ) async throws {
        guard let key = Self.key(hash), let found = try await client.head(key) else { return }
        if let modified = found.modified, modified >= time { return }
        if try await orWanted() { return }
        try await client.delete(key)
    }
}
