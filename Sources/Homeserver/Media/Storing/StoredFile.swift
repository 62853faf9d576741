internal import HTTPMessages
private import Synchronization

/// Bytes that lie somewhere, given in parts.
struct StoredFile: Sendable {
    /// Bytes.
    let length: Int64
    /// How many are asked for at once.
    let step: Int
    /// Gives `count` bytes at an offset, all of which are there.
    private let read: @Sendable (_ offset: Int64, _ count: Int) async throws -> [UInt8]

    init(length: Int64, step: Int, read: @escaping @Sendable (Int64, Int) async throws -> [UInt8]) {
        self.length = length
        self.step = step
        self.read = read
    }

    /// The first bytes, fewer where there are not so many.
    func beginning(_ count: Int) async throws -> [UInt8] { try await read(0, Int(min(Int64(count), length))) }

    /// A part of the file as a body, of which a step is read when the one before has been taken.
    /// - Parameters:
    ///   - start: bytes before the part.
    ///   - end: bytes after it.
    func body(_ range: Range<Int64>, between start: [UInt8] = [], and end: [UInt8] = []) -> HTTPBody {
        let cursor = Cursor(Cursor.State(position: range.lowerBound, start: start, end: end))
        let length = start.count + Int(range.upperBound - range.lowerBound) + end.count
        return HTTPBody(length: length) { () async throws(HTTPBodyError) in
            if let start = cursor.state.withLock({ $0.takeStart() }) { return start }
            let position = cursor.state.withLock { $0.position }
            let count = Int(min(Int64(step), range.upperBound - position))
            guard count > 0 else { return cursor.state.withLock { $0.takeEnd() } }
            do {
                let bytes = try await read(position, count)
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
