internal import Cryptography
private import Glibc
internal import HTTPMessages
internal import MatrixAPI

/// The files of media: `ab/cd/` and the SHA-256 of the bytes; thumbnails beside them, and what is still arriving.
struct MediaFiles: Sendable {
    /// Bytes that were kept.
    struct Stored: Sendable {
        /// SHA-256, hexadecimal.
        let hash: String
        let length: Int64
    }

    let directory: String
    let threads: WorkerThreads
    let blockingWork: BlockingWork
    private let random: any RandomSource

    init(directory: String, random: any RandomSource, _ blockingWork: BlockingWork = .ownThreads) {
        self.blockingWork = blockingWork
        self.directory = directory
        self.random = random
        threads = WorkerThreads(
            name: "media", count: MediaLimits.fileThreads, maximumWaiting: MediaLimits.fileJobsWaiting,
            blockingWork)
    }

    /// Keeps a body. Throws `M_TOO_LARGE` beyond `maximum` bytes.
    func store(_ body: HTTPBody, maximum: Int64) async throws -> Stored {
        let tooLarge = MatrixError(.tooLarge, "The file is larger than \(maximum) bytes")
        if let length = body.length, Int64(length) > maximum { throw tooLarge }
        let file = try await begin()
        var batch: [UInt8] = []
        var total: Int64 = 0
        do {
            for try await chunk in body.chunks {
                total += Int64(chunk.count)
                guard total <= maximum else { throw tooLarge }
                batch += chunk
                if batch.count >= MediaLimits.chunk { try await append(&batch, to: file) }
            }
        } catch let error as HTTPBodyError {
            switch error {
            case .tooLarge: throw tooLarge
            case .timedOut: throw MatrixError(.unknown, "The body took too long", status: 408)
            case .disconnected: throw MatrixError(.unknown, "The body ended early")
            }
        }
        if !batch.isEmpty { try await append(&batch, to: file) }
        return try await finish(file)
    }

    /// Keeps bytes at hand.
    func store(_ bytes: ArraySlice<UInt8>) async throws -> Stored {
        let file = try await begin()
        try await onDisk { try file.append(bytes) }
        return try await finish(file)
    }

    /// Opens what lies under a hash; `nil` when nothing does.
    func open(_ hash: String) async throws -> OpenedFile? {
        guard let place = Self.place(of: hash) else { return nil }
        return try await threads.run { [path = "\(directory)/\(place.folder)/\(hash)"] in try OpenedFile(path) }
    }

    /// The path of a kept file; `nil` for what is no hash.
    func path(of hash: String) -> String? {
        Self.place(of: hash).map { "\(directory)/\($0.folder)/\(hash)" }
    }

    /// A path under which nothing lies yet.
    func temporaryPath(_ ending: String) -> String { "\(incoming)/\(Hex.encode(random.bytes(16)))\(ending)" }

    /// The folder, inside a root, of a hash's file.
    static func place(of hash: String) -> (first: String, folder: String)? {
        let isHash =
            hash.utf8.count == 64
            && hash.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) }
        guard isHash else { return nil }
        let first = String(hash.prefix(2))
        return (first, "\(first)/\(hash.dropFirst(2).prefix(2))")
    }

    /// Removes what interrupted uploads left. Blocks.
    func removeLeftovers(olderThan seconds: Int, now: Int64) {
        guard let folder = opendir(incoming) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard !name.hasPrefix(".") else { continue }
            var status = stat()
            let path = "\(incoming)/\(name)"
            if lstat(path, &status) == 0, Int64(status.st_mtim.tv_sec) < now / 1000 - Int64(seconds) { unlink(path) }
        }
    }

    /// Makes folders that are not there, the outer first. Blocks.
    static func makeFolders(_ paths: [String]) throws(FileFailure) {
        for path in paths {
            if mkdir(path, 0o700) == 0 {
                try IncomingFile.sync(folder: path + "/..")
            } else if errno != EEXIST {
                throw FileFailure("mkdir")
            }
        }
    }

    private var incoming: String { directory + "/incoming" }

    private func begin() async throws -> IncomingFile {
        let path = temporaryPath("")
        return try await onDisk { [directory, incoming] in
            do throws(FileFailure) { return try IncomingFile(creating: path) } catch  where error.isMissing {
                try Self.makeFolders([directory, incoming])
                return try IncomingFile(creating: path)
            }
        }
    }

    private func append(_ batch: inout [UInt8], to file: IncomingFile) async throws {
        let bytes = batch
        batch = []
        try await onDisk { try file.append(bytes[...]) }
    }

    private func finish(_ file: IncomingFile) async throws -> Stored {
        try await onDisk { [directory] in
            let hash = try file.finish()
            guard let place = Self.place(of: hash) else { throw FileFailure("hash", code: EINVAL) }
            let folder = "\(directory)/\(place.folder)"
            try Self.makeFolders(["\(directory)/\(place.first)", folder])
            try file.keep(as: "\(folder)/\(hash)", in: folder)
            return Stored(hash: hash, length: file.length)
        }
    }

    private func onDisk<R: Sendable>(_ work: @escaping @Sendable () throws -> R) async throws -> R {
        do { return try await threads.run(work) } catch let error as FileFailure where error.isFull {
            throw MatrixError(.unknown, "The server has no room for files", status: 507)
        }
    }
}
