private import CSodium

/// Collects bytes that hold something secret: where it outgrows its memory, what it leaves behind is wiped, and so is all of
/// it when it is let go. An array's `append` does neither.
public struct SecretBuffer: ~Copyable {
    private var memory: SecretBytes
    private var count = 0

    /// An empty one, with room for `capacity` bytes.
    public init(capacity: Int = 512) { memory = SecretBytes(count: max(capacity, 1), placement: .heap) { _ in } }

    /// Puts a copy of `bytes` behind what is there.
    public mutating func append(_ bytes: some ContiguousBytes) {
        bytes.withBytes { bytes in
            let end = count + bytes.count
            if end > memory.count {
                let old = memory
                memory = SecretBytes(count: max(end, old.count * 2), placement: .heap) { larger in
                    old.withBytes { larger.copyMemory(from: $0) }
                }
            }
            memory.write(bytes, at: count)
            count = end
        }
    }

    /// Puts a byte behind what is there.
    public mutating func append(_ byte: UInt8) { append(CollectionOfOne(byte)) }

    /// What was collected, for as long as the buffer lives.
    public var bytes: SecretView { memory.view(0..<count) }
}

extension CollectionOfOne<UInt8>: ContiguousBytes {
    /// Lends the byte.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R { withUnsafeBytes(of: self[startIndex], body) }
}
