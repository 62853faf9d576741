internal import Cryptography
private import Glibc
internal import HTTPMessages
internal import MatrixAPI

/// The files of media: what is arriving, in a folder of this machine, and what has arrived, in the store.
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
    let store: any MediaStoring
    private let random: any RandomSource

    /// - Parameter elsewhere: the store, given the threads of files; `nil` for the folder itself.
    init(
        directory: String, random: any RandomSource, _ blockingWork: BlockingWork = .ownThreads,
        elsewhere: ((WorkerThreads) -> any MediaStoring)? = nil
    ) {
        self.blockingWork = blockingWork
        self.directory = directory
        self.random = random
        threads = WorkerThreads(
            name: "media", count: MediaLimits.fileThreads, maximumWaiting: MediaLimits.fileJobsWaiting,
            blockingWork)
        store = elsewhere?(threads) ?? LocalMediaStore(directory: directory, threads: threads)
    }

    static func tooLarge(_ maximum: Int64) -> MatrixError {
        MatrixError(.tooLarge, "The file is larger than \(maximum) bytes")
    }

    /// Keeps a client's body. Throws `M_TOO_LARGE` beyond `maximum` bytes.
    func store(_ body: HTTPBody, maximum: Int64) async throws -> Stored {
        do { return try await keep(body, maximum: maximum) } catch let error as HTTPBodyError {
            switch error {
            case .tooLarge: throw Self.tooLarge(maximum)
            case .timedOut: throw MatrixError(.unknown, "The body took too long", status: 408)
            case .disconnected: throw MatrixError(.unknown, "The body ended early")
            }
        }
    }

    /// Keeps a body. Throws what the body does, `HTTPBodyError.tooLarge` beyond `maximum` bytes.
    func keep(_ body: HTTPBody, maximum: Int64) async throws -> Stored {
        if let length = body.length, Int64(length) > maximum { throw HTTPBodyError.tooLarge }
        let file = try await begin()
        var batch: [UInt8] = []
        var total: Int64 = 0
        for try await chunk in body.chunks {
            total += Int64(chunk.count)
            guard total <= maximum else { throw HTTPBodyError.tooLarge }
            batch += chunk
            if batch.count >= MediaLimits.chunk { try await append(&batch, to: file) }
        }
        if !batch.isEmpty { try await append(&batch, to: file) }
        let hash = try await onDisk { try file.finish() }
        do { try await store.keep(file, hash) } catch let error as FileFailure where error.isFull { throw Self.full }
        return Stored(hash: hash, length: total)
    }

    /// A path under which nothing lies yet.
    func temporaryPath(_ ending: String) -> String { "\(incoming)/\(Hex.encode(random.bytes(16)))\(ending)" }

    /// The folder, inside a root, of a hash's file; `nil` for what is no hash.
    static func place(of hash: String) -> (first: String, folder: String)? {
        let isHash =
            hash.utf8.count == 64
            && hash.utf8.allSatisfy { ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) }
        guard isHash else { return nil }
        let first = String(hash.prefix(2))
        return (first, "\(first)/\(hash.dropFirst(2).prefix(2))")
    }

    /// Removes what interrupted uploads left, and puts back what an interrupted removal left. Blocks.
    func removeLeftovers(olderThan seconds: Int, now: Int64) {
        for name in Self.entries(incoming) {
            var status = stat()
            let path = "\(incoming)/\(name)"
            guard lstat(path, &status) == 0 else { continue }
            // A removal keeps the time of the bytes; when it began, the change of name says.
            let isRemoval = name.hasSuffix(LocalMediaStore.asideEnding)
            let since = isRemoval ? status.st_ctim.tv_sec : status.st_mtim.tv_sec
            guard Int64(since) < now / 1000 - Int64(seconds) else { continue }
            let hash = String(name.prefix(64))
            if isRemoval, let place = Self.place(of: hash) {
                rename(path, "\(directory)/\(place.folder)/\(hash)")
            } else {
                unlink(path)
            }
        }
    }

    /// The names in a folder, but for those that begin with a dot. Blocks.
    static func entries(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
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

    /// A file to be written, under a name of its own.
    func begin(ending: String = "") async throws -> IncomingFile {
        let path = temporaryPath(ending)
        return try await onDisk { [directory, incoming] in
            do throws(FileFailure) { return try IncomingFile(creating: path) } catch  where error.isMissing {
                try Self.makeFolders([directory, incoming])
                return try IncomingFile(creating: path)
            }
        }
    }

    private var incoming: String { directory + "/incoming" }

    private static let full = MatrixError(.unknown, "The server has no room for files", status: 507)

    private func append(_ batch: inout [UInt8], to file: IncomingFile) async throws {
        let bytes = batch
        batch = []
        try await onDisk { try file.append(bytes[...]) }
    }

    private func onDisk<R: Sendable>(_ work: @escaping @Sendable () throws -> R) async throws -> R {
        do { return try await threads.run(work) } catch let error as FileFailure where error.isFull { throw Self.full }
    }
}
