private import Glibc
internal import HomeserverStorage
internal import Logging
internal import SQLDatabase

/// Takes out files that have no more use, and bytes that no file has.
struct MediaCleaning: Sendable {
    let environment: Environment
    let files: MediaFiles

    /// One round. To be called now and then.
    func clean() async throws {
        let now = environment.clock.now()
        let settings = environment.configuration
        let own = environment.serverName
        let pending = try await environment.database.write { connection in
            _ = try PreviewStore(connection, environment.sealer).delete(before: now - settings.timeouts.previewKept)
            return try MediaStore(connection).deletePending(before: now - settings.timeouts.pendingUpload)
        }
        tell("announced uploads expired", pending)
        _ = try await inSteps { try $0.deleteExpired(limit: $1, now: now) }
        if let days = settings.media.retentionDays {
            let time = now - days * 86_400_000
            let copies = try await inSteps { try $0.deleteCopies(of: own, unusedSince: time, limit: $1, now: now) }
            tell("copies of other servers' files were not used", copies)
            let uploads = try await inSteps { try $0.deleteOwn(own, unusedSince: time, limit: $1, now: now) }
            tell("uploads were not used", uploads)
        }
        try await boundCache(to: settings.media.remoteCacheBytes, now)
        try await removeUnused(now)
        try await removeUnknown(now)
        try await files.threads.run { [files] in
            files.removeLeftovers(olderThan: MediaLimits.leftoverSeconds, now: now)
        }
    }

    private func tell(_ what: String, _ count: Int) {
        if count > 0 { environment.logger.info("\(what)", metadata: ["count": "\(count)"]) }
    }

    private func inSteps(_ step: @escaping @Sendable (MediaStore, Int) throws -> Int) async throws -> Int {
        var sum = 0
        for _ in 0..<MediaLimits.deletingSteps {
            let count = try await environment.database.write { try step(MediaStore($0), MediaLimits.deletedAtOnce) }
            sum += count
            if count < MediaLimits.deletedAtOnce { break }
            try await environment.clock.sleep(for: Housekeeping.stepPause)
        }
        return sum
    }

    /// Lets what is nobody's here take no more than so many bytes.
    private func boundCache(to maximum: Int64, _ now: Int64) async throws {
        var excess = try await environment.database.read { try MediaStore($0).borrowedBytes() } - maximum
        var sum = 0
        for _ in 0..<MediaLimits.deletingSteps where excess > 0 {
            let most = excess
            let gone = try await environment.database.write {
                try MediaStore($0).deleteBorrowed(bytes: most, limit: MediaLimits.deletedAtOnce, now: now)
            }
            if gone.count == 0 { break }
            sum += gone.count
            excess -= gone.bytes
        }
        tell("copies of other servers' files gave way to newer ones", sum)
    }

    /// Removes the bytes of files that were deleted a while ago, where no other file has them.
    private func removeUnused(_ now: Int64) async throws {
        let before = now - MediaLimits.unusedKept
        let hashes = try await environment.database.read {
            try MediaStore($0).unusedHashes(before: before, limit: MediaLimits.deletedAtOnce)
        }
        var settled: [String] = []
        for hash in hashes {
            do {
                try await remove(hash, unlessKeptSince: before)
                settled.append(hash)
            } catch {
                environment.logger.warning("bytes are not removed", metadata: ["cause": "\(error)"])
            }
        }
        let done = settled
        guard !done.isEmpty else { return }
        try await environment.database.write { try MediaStore($0).settleUnused(done) }
    }

    private func remove(_ hash: String, unlessKeptSince time: Int64) async throws {
        let database = environment.database
        @Sendable func isWanted() async throws -> Bool {
            try await database.read { try !MediaStore($0).used(among: [hash]).isEmpty }
        }
        if try await isWanted() { return }
        try await files.store.remove(hash, unlessKeptSince: time, orWanted: isWanted)
        try await files.threads.run { [files] in Self.removeThumbnails(of: hash, in: files.directory) }
    }

    private static func removeThumbnails(of hash: String, in directory: String) {
        guard let place = MediaFiles.place(of: hash) else { return }
        let folder = "\(Thumbnailer.root(in: directory))/\(place.folder)"
        for name in MediaFiles.entries(folder) where name.hasPrefix(hash) { unlink("\(folder)/\(name)") }
    }

    /// Looks through a part of the folders for bytes of which no row knows: a crash came between, or another node deleted the
    /// file of which there are thumbnails here. All folders have their turn within half a day.
    private func removeUnknown(_ now: Int64) async throws {
        let turn = Int(now / Int64(Housekeeping.interval / .milliseconds(1))) * MediaLimits.foldersAtOnce
        for number in turn..<turn + MediaLimits.foldersAtOnce {
            let digits = String(number & 0xFF, radix: 16)
            let first = digits.count == 1 ? "0" + digits : digits
            let found = try await files.threads.run { [files] in Self.hashes(below: first, in: files.directory) }
            try await removeUnknown(among: found, now)
            do { try await removeUnknown(elsewhere: first, now) } catch let error where !(error is CancellationError) {
                environment.logger.warning("the store is not looked through", metadata: ["cause": "\(error)"])
            }
        }
    }

    /// The same in a store elsewhere, which is the same for all nodes: each looks through it.
    private func removeUnknown(elsewhere first: String, _ now: Int64) async throws {
        var last: String?
        for _ in 0..<MediaLimits.s3PagesAtOnce {
            let found = try await files.store.hashes(beginning: first, after: last)
            guard let end = found.last else { return }
            try await removeUnknown(among: found, now)
            last = end
        }
    }

    private func removeUnknown(among found: [String], _ now: Int64) async throws {
        for start in stride(from: 0, to: found.count, by: MediaLimits.deletedAtOnce) {
            let some = Array(found[start..<min(found.count, start + MediaLimits.deletedAtOnce)])
            let used = try await environment.database.read { try MediaStore($0).used(among: some) }
            for hash in some where !used.contains(hash) {
                try await remove(hash, unlessKeptSince: now - Int64(MediaLimits.leftoverSeconds) * 1000)
            }
        }
    }

    /// The hashes whose bytes or thumbnails lie in a folder of the first level. Blocks.
    private static func hashes(below first: String, in directory: String) -> [String] {
        var found: Set<String> = []
        for root in [directory, Thumbnailer.root(in: directory)] {
            for second in MediaFiles.entries("\(root)/\(first)") {
                for name in MediaFiles.entries("\(root)/\(first)/\(second)") {
                    let hash = String(name.prefix(64))
                    if MediaFiles.place(of: hash) != nil { found.insert(hash) }
                }
            }
        }
        return found.sorted()
    }
}
