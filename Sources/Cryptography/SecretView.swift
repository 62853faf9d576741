/// Some of a secret's bytes, which stay where they are.
public struct SecretView: Sendable, ContiguousBytes, CustomStringConvertible {
    let secret: SecretBytes
    let range: Range<Int>

    /// Lends the bytes for the length of `body`.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        secret.withBytes { body(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// Always "…".
    public var description: String { "…" }
}
