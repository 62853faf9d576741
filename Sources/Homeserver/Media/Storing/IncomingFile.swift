internal import Cryptography
private import Glibc

/// A file that is being written; it is removed unless it is kept. Used by one thread at a time.
final class IncomingFile: @unchecked Sendable {
    let path: String
    private(set) var descriptor: Int32
    private var hash: SHA256.Stream?
    private(set) var length: Int64 = 0

    init(creating path: String) throws(FileFailure) {
        self.path = path
        descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        hash = SHA256.Stream()
        if descriptor < 0 { throw FileFailure("create") }
    }

    deinit {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(path)
    }

    func append(_ bytes: ArraySlice<UInt8>) throws(FileFailure) {
        hash?.update(bytes)
        let descriptor = self.descriptor
        let isWritten = bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let count = write(descriptor, buffer.baseAddress?.advanced(by: offset), buffer.count - offset)
                if count < 0, errno == EINTR { continue }
                if count <= 0 { return false }
                offset += count
            }
            return true
        }
        guard isWritten else { throw FileFailure("write") }
        length += Int64(bytes.count)
    }

    /// Brings the bytes to the disk and gives their hash, in hexadecimal.
    func finish() throws(FileFailure) -> String {
        guard fsync(descriptor) == 0 else { throw FileFailure("fsync") }
        guard let hash = hash.take() else { throw FileFailure("finish", code: EINVAL) }
        return Hex.encode(hash.finish())
    }

    /// Moves the file to its place; one that is there already is replaced, for it holds the same bytes, and is then as new
    /// as this one: see ``LocalMediaStore/remove(_:unlessKeptSince:orWanted:)``.
    func keep(as target: String, in folder: String) throws(FileFailure) {
        guard rename(path, target) == 0 else { throw FileFailure("rename") }
        close(descriptor)
        descriptor = -1
        try Self.sync(folder: folder)
    }

    /// Opens what was written, for reading. Blocks.
    func reopened() throws -> OpenedFile {
        guard let file = try OpenedFile(path) else { throw FileFailure("open", code: ENOENT) }
        return file
    }

    /// Makes renames in a folder durable.
    static func sync(folder: String) throws(FileFailure) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure("open folder") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFailure("fsync folder") }
    }
}
