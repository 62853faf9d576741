import HTTPMessages
import Synchronization

/// The body of one request between the event loop, which receives it, and the handler, which reads it.
final class RequestBodyStream: Sendable {
    fileprivate struct State {
        var chunks: [[UInt8]] = []
        var waitingBytes = 0
        var end: Result<Void, HTTPBodyError>?
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let window: Int
    private let askForMore: @Sendable () -> Void

    /// - Parameters:
    ///   - window: how many bytes may wait before the client is made to wait.
    ///   - askForMore: called, on any thread, when the reader finds nothing.
    init(window: Int, askForMore: @escaping @Sendable () -> Void) {
        self.window = window
        self.askForMore = askForMore
    }

    /// Whether the client may send on.
    var wantsMore: Bool { state.withLock { $0.waitingBytes < window } }

    /// Keeps a chunk for the reader.
    func receive(_ chunk: [UInt8]) {
        let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.end == nil, !chunk.isEmpty else { return nil }
            state.chunks.append(chunk)
            state.waitingBytes += chunk.count
            return state.takeReader()
        }
        reader?.resume()
    }

    /// Ends the body; the first end counts. After an error, what waits is not read any more.
    func finish(_ end: Result<Void, HTTPBodyError>) {
        let reader = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard state.end == nil else { return nil }
            state.end = end
            if case .failure = end { state.dropChunks() }
            return state.takeReader()
        }
        reader?.resume()
    }

    /// All that waits, as one chunk; `nil` at the end. A cancelled reader finds the client gone.
    func next() async throws(HTTPBodyError) -> [UInt8]? {
        while true {
            let (chunk, end) = state.withLock { state -> ([UInt8]?, Result<Void, HTTPBodyError>?) in
                (state.takeChunks(), state.end)
            }
            if let chunk { return chunk }
            switch end {
            case .success: return nil
            case .failure(let error): throw error
            case nil: break
            }
            askForMore()
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isWaiting = state.withLock { state -> Bool in
                        // A second reader at the same time does not wait: it would push out the first.
                        guard state.chunks.isEmpty, state.end == nil, state.reader == nil else { return false }
                        state.reader = continuation
                        return true
                    }
                    if !isWaiting { continuation.resume() }
                }
            } onCancel: {
                finish(.failure(.disconnected))
            }
        }
    }
}

extension RequestBodyStream.State {
    fileprivate mutating func takeReader() -> CheckedContinuation<Void, Never>? {
        defer { reader = nil }
        return reader
    }

    fileprivate mutating func dropChunks() {
        chunks = []
        waitingBytes = 0
    }

    fileprivate mutating func takeChunks() -> [UInt8]? {
        guard var taken = chunks.first else { return nil }
        if chunks.count > 1 {
            taken.reserveCapacity(waitingBytes)
            for chunk in chunks.dropFirst() { taken += chunk }
        }
        dropChunks()
        return taken
    }
}
