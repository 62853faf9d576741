private import Glibc

/// Media in a folder: `ab/cd/` and the hash.
struct LocalMediaStore: MediaStoring {
    let directory: String
    let threads: WorkerThreads

    /// Of the name of a file that is being removed.
    static let asideEnding = ".removed"

    func keep(_ file: IncomingFile, _ hash: String) async throws {
        try await threads.run { [directory] in
            guard let place = MediaFiles.place(of: hash) else { throw FileFailure("hash", code: EINVAL) }
            let folder = "\(directory)/\(place.folder)"
            try MediaFiles.makeFolders(["\(directory)/\(place.first)", folder])
            try file.keep(as: "\(folder)/\(hash)", in: folder)
        }
    }

    func open(_ hash: String, length: Int64?) async throws -> StoredFile? {
        try await opened(hash)?.stored(on: threads)
    }

    func localFile(_ hash: String, maximum: Int64) async throws -> OpenedFile? {
        try await opened(hash).flatMap { $0.length <= maximum ? $0 : nil }
    }

    private func opened(_ hash: String) async throws -> OpenedFile? {
        guard let path = path(of: hash) else { return nil }
        return try await threads.run { try OpenedFile(path) }
    }

    private func path(of hash: String) -> String? {
        MediaFiles.place(of: hash).map { "\(directory)/\($0.folder)/\(hash)" }
    }

    func hashes(beginning digits: String, after: String?) async throws -> [String] { [] }

    /// Moves the file aside first. Whoever keeps the same bytes after that makes a file anew; whoever did before left a
    /// file that is too new to go, or a row by which it is wanted.
    func remove(
        _ hash: String, unlessKeptSince time: Int64, orWanted: @Sendable () async throws -> Bool
    ) async throws {
        guard let path = path(of: hash) else { return }
        let aside = "\(directory)/incoming/\(hash)\(Self.asideEnding)"
        let age: Int64? = try await threads.run {
            guard rename(path, aside) == 0 else {
                let failure = FileFailure("rename")
                if failure.isMissing { return nil }
                throw failure
            }
            var status = stat()
            guard lstat(aside, &status) == 0 else { return nil }
            return Int64(status.st_mtim.tv_sec) * 1000
        }
        guard let age else { return }
        let stays: Bool
        do { stays = age >= time ? true : try await orWanted() } catch {
            try await threads.run { if rename(aside, path) != 0 { throw FileFailure("rename") } }
            throw error
        }
        try await threads.run { _ = stays ? rename(aside, path) : unlink(aside) }
    }
}
