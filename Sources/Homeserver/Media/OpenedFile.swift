private import Glibc
internal import HTTPMessages
private import Synchronization

/// A file that is open for reading, closed with the last reference.
final class OpenedFile: Sendable {
    /// Bytes.
    let length: Int64
    private let descriptor: Int32

    /// `nil` when there is no such file.
    init?(_ path: String) throws(FileFailure) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        length = descriptor < 0 ? 0 : Int64(lseek(descriptor, 0, SEEK_END))
        if descriptor < 0 {
            let failure = FileFailure("open")
            if failure.isMissing { return nil }
            throw failure
        }
        guard length >= 0 else { throw FileFailure("seek") }
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

    /// A part of the file as a body, of which a chunk is read when the one before has been taken.
    /// - Parameters:
    ///   - start: bytes before the part.
    ///   - end: bytes after it.
    func body(
        _ range: Range<Int64>, between start: [UInt8] = [], and end: [UInt8] = [], on threads: WorkerThreads
    ) -> HTTPBody {
        let cursor = Cursor(Cursor.State(position: range.lowerBound, start: start, end: end))
        let length = start.count + Int(range.upperBound - range.lowerBound) + end.count
        return HTTPBody(length: length) { () async throws(HTTPBodyError) in
            if let start = cursor.state.withLock({ $0.takeStart() }) { return start }
            let position = cursor.state.withLock { $0.position }
            let count = Int(min(Int64(MediaLimits.chunk), range.upperBound - position))
            guard count > 0 else { return cursor.state.withLock { $0.takeEnd() } }
            do {
                let bytes = try await threads.run { try self.read(at: position, count: count) }
                guard bytes.count == count else { throw HTTPBodyError.disconnected }
                cursor.state.withLock { $0.position += Int64(count) }
                return bytes
            } catch { throw .disconnected }
        }
    }

    /// How far a body has been given.
    private final class Cursor: Sendable {
        struct State {
            var position: Int64
            var start: [UInt8]
            var end: [UInt8]

            mutating func takeStart() -> [UInt8]? { Self.take(&start) }
            mutating func takeEnd() -> [UInt8]? { Self.take(&end) }

            private static func take(_ bytes: inout [UInt8]) -> [UInt8]? {
                defer { bytes = [] }
                return bytes.isEmpty ? nil : bytes
            }
        }

        let state: Mutex<State>
        init(_ state: State) { self.state = Mutex(state) }
    }
}
