internal import HTTPMessages
internal import Synchronization

/// The body of a response between the loop's thread, which puts pieces in, and a task, which takes them out.
final class ResponseStream: Sendable {
    private struct State {
        var pieces: [[UInt8]] = []
        var count = 0
        /// libcurl was told to hold on.
        var isPaused = false
        var end: Result<Void, HTTPBodyError>?
        var waiting: CheckedContinuation<Void, Never>?
    }

    /// More than that is not held: libcurl is told to hold on.
    private static let maximumHeld = 1 << 20

    private let state = Mutex(State())

    /// Puts a piece in, if there is place. On the loop's thread.
    func put(_ piece: [UInt8]) -> Bool {
        let (isTaken, waiting) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard state.count < Self.maximumHeld else {
                state.isPaused = true
                return (false, nil)
            }
            state.pieces.append(piece)
            state.count += piece.count
            return (true, state.waiting.take())
        }
        waiting?.resume()
        return isTaken
    }

    /// Nothing more comes.
    func end(_ result: Result<Void, HTTPBodyError>) {
        let waiting = state.withLock { state in
            state.end = state.end ?? result
            return state.waiting.take()
        }
        waiting?.resume()
    }

    private enum Step {
        case piece([UInt8], resumes: Bool)
        case end(Result<Void, HTTPBodyError>)
        case wait
    }

    /// The next piece, or nil at the end.
    /// - Parameter goOn: tells libcurl that there is place again.
    func next(_ goOn: () -> Void) async throws(HTTPBodyError) -> [UInt8]? {
        while true {
            let step = state.withLock { state -> Step in
                guard state.pieces.isEmpty else {
                    // All of it as one: libcurl's pieces are small.
                    let piece = state.pieces.count == 1 ? state.pieces[0] : Array(state.pieces.joined())
                    state.pieces = []
                    state.count = 0
                    defer { state.isPaused = false }
                    return .piece(piece, resumes: state.isPaused)
                }
                return state.end.map { .end($0) } ?? .wait
            }
            switch step {
            case .piece(let piece, let resumes):
                if resumes { goOn() }
                return piece
            case .end(let result):
                try result.get()
                return nil
            case .wait: await wait()
            }
        }
    }

    private func wait() async {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                guard state.pieces.isEmpty, state.end == nil else { return true }
                state.waiting = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
    }
}
