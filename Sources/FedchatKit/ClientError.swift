public import ClientEncryption
public import HTTPMessages
public import MatrixAPI
public import MatrixModel

/// Why the client could not do what it was asked.
public enum ClientError: Error, Sendable {
    /// The server refused.
    case server(MatrixError)
    /// The server did not answer, or not as a Matrix server does.
    case network(HTTPClientError)
    /// The answer is not what the specification says; `path` names the field.
    case malformedAnswer(path: String)
    /// There is no session, or the server has ended it.
    case notLoggedIn
    /// There is no such room, user or device.
    case notFound(String)
    /// Several rooms fit.
    case ambiguous(String)
    /// Encryption refused.
    case encryption(EncryptionError)
    /// The message stays in the queue and is sent when the server answers again.
    case queued(String)
    /// What was asked for makes no sense.
    case usage(String)
    /// The server speaks no flow that we do.
    case unsupportedFlow([String])
    /// It took too long.
    case timedOut(String)
    /// The message was worth nothing any more before it could be sent.
    case expired
    /// The room is not encrypted, and what was to be sent is only ever sent encrypted; or it was to be made so.
    case notEncrypted(RoomID)
}

extension ClientError: CustomStringConvertible {
    /// For a person; holds no secret and no text of a message.
    public var description: String {
        switch self {
        case .server(let error) where error.code == .noMatrix:
            "no Matrix server answers (\(error.message)): what stands before it may be at fault"
        case .server(let error): "the server refuses (\(error.code.text)): \(error.message)"
        case .network(let error): "no answer from the server: \(error)"
        case .malformedAnswer(let path): "the server's answer is malformed: \(path)"
        case .notLoggedIn: "not logged in"
        case .notFound(let what): "not found: \(what)"
        case .ambiguous(let what): what
        case .encryption(.changedKey(let user, let device)):
            """
            the keys of \(user)'s device \(device) have changed: nothing is sent to it. If \(user) confirms it, run \
            "fedchat devices \(user) --accept \(device)"
            """
        case .encryption(.changedIdentity(let user)):
            """
            \(user) was verified and has another identity now: nothing is sent. Verify them again ("fedchat verify \(user)"), \
            or, if you know of the change, run "fedchat cross-signing accept \(user)"
            """
        case .encryption(.wrongRecoveryKey): "the recovery key, passphrase or file does not fit"
        case .encryption(.cannotSign):
            "this device does not hold the private keys of your identity, or does not trust it: verify it, or recover"
        case .encryption(let error): "encryption: \(error)"
        case .queued(let why): "not sent yet, it stays queued: \(why)"
        case .usage(let what): what
        case .unsupportedFlow(let flows):
            "the server wants what this client cannot do: \(flows.joined(separator: ", "))"
        case .timedOut(let what): "timed out: \(what)"
        case .expired: "it could not be sent in time"
        case .notEncrypted(let room):
            """
            \(room) is not encrypted: what was to be sent there is only ever sent encrypted, as servers would read it (of \
            calls, addresses and keys)
            """
        }
    }

    /// What the sender of a message that stays in the queue is told, by why it stays.
    static func whileQueued(_ error: any Error) -> ClientError {
        switch error {
        case ClientError.notLoggedIn: .notLoggedIn
        case ClientError.server(let refusal) where refusal.status == 429: .server(refusal)
        case ClientError.network(.cancelled), is CancellationError: .queued("the client ends")
        default: .queued("\(error)")
        }
    }

    /// Whether it is this client that does not send as things are, and no server.
    static func isOurRefusal(_ error: any Error) -> Bool {
        switch error {
        case is EncryptionError, ClientError.encryption, ClientError.notEncrypted, ClientError.notFound: true
        default: false
        }
    }

    /// Whether a Matrix server has refused for good what it was asked. All else passes: a proxy that restarts, a network
    /// that wants a login first, a task that is cancelled, a limit.
    var isLasting: Bool {
        guard case .server(let refusal) = self, (400..<500).contains(refusal.status),
            ![401, 408, 425, 429].contains(refusal.status)
        else { return false }
        // What is too large for a proxy stays so.
        return refusal.code != .noMatrix || refusal.status == 413
    }

    /// Whether trying again later can help.
    var isTransient: Bool {
        switch self {
        case .network(let error):
            switch error {
            case .timedOut, .couldNotConnect, .overloaded, .other: true
            default: false
            }
        case .server(let error): error.status == 429 || error.status >= 500
        default: false
        }
    }
}

extension MatrixError.Code {
    /// Of an answer without one.
    static let noMatrix = Self("", status: 500)
}
