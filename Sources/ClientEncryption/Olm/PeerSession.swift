internal import Cryptography
internal import PostQuantum
internal import Ratchet

/// A session with a device: Olm's, or one that was begun with ML-KEM-768 as well.
enum PeerSession: Sendable {
    case olm(OlmSession)
    case hybrid(HybridSession)

    /// What `pickle` wrote. Throws what the sessions throw; `malformed` for another algorithm.
    init(pickle: [UInt8], algorithm: String, key: [UInt8]) throws(RatchetError) {
        switch algorithm {
        case Algorithm.olm: self = .olm(try OlmSession(pickle: pickle, key: key))
        case HybridAlgorithm.name: self = .hybrid(try HybridSession(pickle: pickle, key: key))
        default: throw .malformed(rule: "an algorithm that has sessions")
        }
    }

    var id: String {
        switch self {
        case .olm(let session): session.id
        case .hybrid(let session): session.id
        }
    }

    /// What its messages name.
    var algorithm: String {
        switch self {
        case .olm: Algorithm.olm
        case .hybrid: HybridAlgorithm.name
        }
    }

    func pickle(key: [UInt8], random: some RandomSource) throws(RatchetError) -> [UInt8] {
        switch self {
        case .olm(let session): try session.pickle(key: key, random: random)
        case .hybrid(let session): try session.pickle(key: key, random: random)
        }
    }

    /// Whether the message began this session.
    func matches(_ opening: SessionOpening) -> Bool {
        switch (self, opening) {
        case (.olm(let session), .olm(let message)): session.matches(message)
        case (.hybrid(let session), .hybrid(let message)): session.matches(message)
        default: false
        }
    }

    /// As the session's own.
    mutating func encrypt(_ plaintext: [UInt8], random: some RandomSource) throws(RatchetError) -> OlmMessage {
        switch self {
        case .olm(var session):
            defer { self = .olm(session) }
            return try session.encrypt(plaintext, random: random)
        case .hybrid(var session):
            defer { self = .hybrid(session) }
            return try session.encrypt(plaintext, random: random)
        }
    }

    /// As the session's own.
    mutating func decrypt(_ message: OlmMessage) throws(RatchetError) -> [UInt8] {
        switch self {
        case .olm(var session):
            defer { self = .olm(session) }
            return try session.decrypt(message)
        case .hybrid(var session):
            defer { self = .hybrid(session) }
            return try session.decrypt(message)
        }
    }
}
