internal import Cryptography
internal import MatrixModel

/// The bytes of a verification's QR code.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#qr-code-format>
public struct QRPayload: Sendable, Hashable {
    /// What is verified.
    public enum Mode: UInt8, Sendable {
        /// Two users verify each other.
        case otherUser = 0
        /// Two devices of a user; the one that shows trusts the master key.
        case trusting = 1
        /// The one that shows does not trust it yet.
        case untrusting = 2
    }

    public let mode: Mode
    /// The event or transaction id of the request.
    public let transaction: String
    /// 32 bytes; whose key depends on the mode.
    public let first: [UInt8]
    /// 32 bytes; whose key depends on the mode.
    public let second: [UInt8]
    /// What proves that the code was seen.
    public let secret: [UInt8]

    init(mode: Mode, transaction: String, first: [UInt8], second: [UInt8], secret: [UInt8]) {
        self.mode = mode
        self.transaction = transaction
        self.first = first
        self.second = second
        self.secret = secret
    }

    private static let mark = Array("MATRIX".utf8)

    /// Reads a scanned code. Throws `malformed` for anything else than version 2 of it.
    public init(_ bytes: [UInt8]) throws(EncryptionError) {
        guard bytes.count >= 10, bytes.count <= Limits.qrBytes, Array(bytes[..<6]) == Self.mark, bytes[6] == 2,
            let mode = Mode(rawValue: bytes[7])
        else { throw .malformed(path: "qr") }
        let length = Int(bytes[8]) << 8 | Int(bytes[9])
        let rest = bytes[10...]
        guard rest.count >= length + 64 + 8, let id = String(validating: rest.prefix(length), as: UTF8.self) else {
            throw .malformed(path: "qr")
        }
        self.mode = mode
        transaction = id
        first = Array(rest.dropFirst(length).prefix(32))
        second = Array(rest.dropFirst(length + 32).prefix(32))
        secret = Array(rest.dropFirst(length + 64))
    }

    /// What the code holds.
    public var bytes: [UInt8] {
        let id = Array(transaction.utf8.prefix(0xFFFF))
        return Self.mark + [2, mode.rawValue, UInt8(id.count >> 8), UInt8(id.count & 0xFF)] + id + first + second
            + secret
    }
}
