internal import PostQuantum
internal import Ratchet

/// A parsed message that begins a session, of either kind.
enum SessionOpening: Sendable {
    case olm(PreKeyMessage)
    case hybrid(HybridPreKeyMessage)

    /// Throws what the parsers throw; `malformed` for another algorithm.
    init(_ bytes: [UInt8], algorithm: String) throws(RatchetError) {
        switch algorithm {
        case Algorithm.olm: self = .olm(try PreKeyMessage(bytes))
        case HybridAlgorithm.name: self = .hybrid(try HybridPreKeyMessage(bytes))
        default: throw .malformed(rule: "an algorithm that begins sessions")
        }
    }
}
