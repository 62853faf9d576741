private import Glibc

/// A file that is open for reading, closed with the last reference.
final class OpenedFile: Sendable {
    /// Bytes.
    let length: Int64
    private let descriptor: Int32

    /// `nil` when there is no such file.
    init?(_ path: String) throws(FileFailure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        var status = stat()
        let isThere = descriptor >= 0 && fstat(descriptor, &status) == 0
        length = isThere ? Int64(status.st_size) : 0
        if descriptor < 0 {
            let failure = FileFailure("open")
            if failure.isMissing { return nil }
            throw failure
        }
        guard isThere, status.st_mode & S_IFMT == S_IFREG else { throw FileFailure("stat", code: EINVAL) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Reads up to `count` bytes; fewer only at the end. Blocks.
    func read(at offset: Int64, count: Int) throws(FileFailure) -> [UInt8] {
        let descriptor = self.descriptor
        var failed = false
        let bytes = [UInt8](unsafeUninitializedCapacity: max(0, count)) { buffer, filled in
            while filled < count {
                let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
                let got = pread(descriptor, target.baseAddress, count - filled, off_t(offset) + off_t(filled))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failed = true }
                if got <= 0 { return }
                filled += got
            }
        }
        if failed { throw FileFailure("read") }
        return bytes
    }

    /// Lends a descriptor that stands at the file's start, whoever else reads it. Blocks.
    func reading<R>(_ body: (Int32) throws -> R) throws -> R {
        // Opened anew, for a copy of a descriptor would share its place; through /proc, for the file may have no name.
        let own = open("/proc/self/fd/\(descriptor)", O_RDONLY | O_CLOEXEC)
        guard own >= 0 else { throw FileFailure("open again") }
        defer { close(own) }
        return try body(own)
    }

    /// In parts, read by `threads`.
    func stored(on threads: WorkerThreads) -> StoredFile {
        StoredFile(length: length, step: MediaLimits.chunk) { offset, count in
            try await threads.run { try self.read(at: offset, count: count) }
        }
    }
}
