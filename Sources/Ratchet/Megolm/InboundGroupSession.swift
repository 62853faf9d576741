internal import Cryptography

/// A reader's half of a Megolm session: reads any message from its first known index on, in any order.
/// Spec: <https://spec.matrix.org/v1.19/olm-megolm/megolm/#overview>
///
/// Megolm reads a repeated message again: whoever calls must notice an index that came with another event.
public struct InboundGroupSession: Sendable, Equatable {
    /// How two halves of what may be one session compare.
    public enum Relation: Sendable {
        /// The same ratchet, from the same index.
        case equal
        /// The same ratchet, and it reads more than the other.
        case better
        /// The same ratchet, and it reads less than the other.
        case worse
        /// Another session, or another ratchet under the same id.
        case unconnected
    }

    /// A decrypted message.
    public struct Decrypted: Sendable, Equatable {
        /// What was encrypted.
        public let plaintext: [UInt8]
        /// Its index in the session: one index belongs to one event.
        public let index: UInt32
    }

    /// As far back as we can read.
    var first: MegolmRatchet
    /// At the newest message read, so that the next one is a step away.
    var latest: MegolmRatchet
    let signingKey: Ed25519.PublicKey
    /// Whether the session key came signed by the session: an exported key could be made up around a true public key.
    public let isSigned: Bool

    init(ratchet: MegolmRatchet, signingKey: Ed25519.PublicKey, isSigned: Bool) {
        first = ratchet
        latest = ratchet
        self.signingKey = signingKey
        self.isSigned = isSigned
    }

    /// From `session_key` of `m.room_key`, 229 bytes. Throws `malformed`, `unsupportedVersion` or `wrongSignature`.
    public init(sessionKey: [UInt8]) throws(RatchetError) {
        let export = try SessionExport(parsing: sessionKey, .shared)
        self.init(ratchet: export.ratchet, signingKey: export.signingKey, isSigned: true)
    }

    /// From `session_key` of a backup, a key file or `m.forwarded_room_key`, 165 bytes. Throws `malformed` or
    /// `unsupportedVersion`; nothing says yet that the key is genuine.
    public init(exportedKey: [UInt8]) throws(RatchetError) {
        let export = try SessionExport(parsing: exportedKey, .exported)
        self.init(ratchet: export.ratchet, signingKey: export.signingKey, isSigned: false)
    }

    /// Base64 of the session's public key.
    public var id: String { Base64.encode(signingKey.bytes) }

    /// The first index that can be read.
    public var firstKnownIndex: UInt32 { first.index }

    /// Decrypts a message. Throws `wrongSignature`, `wrongMAC`, `indexTooOld` or `cannotOpen`, and is then unchanged.
    public mutating func decrypt(_ message: MegolmMessage) throws(RatchetError) -> Decrypted {
        guard message.index >= first.index else { throw .indexTooOld(first: first.index) }
        try message.verifySignature(by: signingKey)
        let ratchet = ratchet(at: message.index)
        let plaintext = try message.opened(with: ratchet.cipherKeys)
        if ratchet.index > latest.index { latest = ratchet }
        return Decrypted(plaintext: plaintext, index: message.index)
    }

    /// As above, from the decoded `ciphertext` of an event; throws also `malformed` and `unsupportedVersion`.
    public mutating func decrypt(_ message: [UInt8]) throws(RatchetError) -> Decrypted {
        try decrypt(MegolmMessage(message))
    }

    /// The 165-byte key that reads from `index` on. Throws `indexTooOld`.
    public func exportedKey(at index: UInt32) throws(RatchetError) -> [UInt8] {
        guard index >= first.index else { throw .indexTooOld(first: first.index) }
        return SessionExport(ratchet: ratchet(at: index), signingKey: signingKey).encoded(.exported)
    }

    /// The exported key of all that can be read.
    public var exportedKey: [UInt8] { SessionExport(ratchet: first, signingKey: signingKey).encoded(.exported) }

    /// Gives up what lies before `index`; an index before the first changes nothing.
    public mutating func forget(before index: UInt32) {
        guard index > first.index else { return }
        first = ratchet(at: index)
        if latest.index < index { latest = first }
    }

    /// Whether this half is worth more than another: keep the better of two connected ones.
    public func relation(to other: InboundGroupSession) -> Relation {
        guard signingKey == other.signingKey else { return .unconnected }
        let common = max(first.index, other.first.index)
        let (own, others) = (ratchet(at: common), other.ratchet(at: common))
        guard own == others else { return .unconnected }
        if first.index == other.first.index { return .equal }
        return first.index < other.first.index ? .better : .worse
    }

    /// `index` is not before the first one.
    private func ratchet(at index: UInt32) -> MegolmRatchet {
        var ratchet = index >= latest.index ? latest : first
        if index != ratchet.index { ratchet.advance(to: index) }
        return ratchet
    }
}
