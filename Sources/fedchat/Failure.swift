import ClientEncryption
import FedchatKit
import HTTPMessages
import MatrixAPI
import MatrixModel
import SQLDatabase

/// What the program ends with: a message for standard error and an exit status.
struct Failure: Error, Sendable {
    /// The exit statuses of the contract.
    enum Status {
        static let usage: Int32 = 1
        static let unexpected: Int32 = 2
        static let server: Int32 = 3
        static let untrustedKey: Int32 = 4
        static let rateLimited: Int32 = 5
        static let notLoggedIn: Int32 = 6
        static let notFound: Int32 = 7
        static let partlySent: Int32 = 8
        static let undecryptable: Int32 = 9
        static let timeout: Int32 = 124
        static let interrupted: Int32 = 130
    }

    let message: String
    let status: Int32

    init(_ message: String, _ status: Int32) {
        self.message = message
        self.status = status
    }

    init(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as ClientError: self.init("\(error)", Self.status(of: error))
        case let error as EncryptionError: self.init("\(ClientError.encryption(error))", Self.status(of: error))
        case let error as HTTPClientError: self.init("\(ClientError.network(error))", Status.server)
        case let error as MalformedField: self.init("the server's answer is malformed: \(error.path)", Status.server)
        case let error as DatabaseError: self.init("the store: \(error)", Status.unexpected)
        default: self.init("unexpected: \(error)", Status.unexpected)
        }
    }

    static let notLoggedIn = Failure("not logged in: run fedchat login or fedchat register", Status.notLoggedIn)

    private static func status(of error: ClientError) -> Int32 {
        switch error {
        case .server(let refusal): status(of: refusal)
        case .network, .malformedAnswer, .queued, .unsupportedFlow, .timedOut, .expired: Status.server
        case .notLoggedIn: Status.notLoggedIn
        case .notFound: Status.notFound
        case .ambiguous, .usage, .notEncrypted: Status.usage
        case .encryption(let error): status(of: error)
        }
    }

    private static func status(of refusal: MatrixError) -> Int32 {
        if refusal.code == .limitExceeded || refusal.status == 429 { return Status.rateLimited }
        if refusal.code == .unknownToken || refusal.code == .missingToken { return Status.notLoggedIn }
        return refusal.status == 403 || refusal.status == 404 ? Status.notFound : Status.server
    }

    private static func status(of error: EncryptionError) -> Int32 {
        switch error {
        case .changedKey, .changedIdentity, .wrongRecoveryKey, .cannotSign: Status.untrustedKey
        case .noRoomKey, .ratchet, .replayed, .mismatch, .malformed: Status.undecryptable
        case .wrongStoreKey: Status.usage
        default: Status.unexpected
        }
    }
}
