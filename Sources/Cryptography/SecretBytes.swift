private import CSodium

/// Bytes that must not outlive their use: never copied, wiped when the last owner lets go.
public final class SecretBytes: @unchecked Sendable, ContiguousBytes, CustomStringConvertible, CustomReflectable {
    /// Where the bytes lie.
    public enum Placement: Sendable {
        /// Own locked pages between guard pages: for the few keys that live as long as the process. Where the kernel gives no
        /// more of these, as `heap`.
        case guarded
        /// Locked pages between guard pages, shared with other secrets: for keys that come in thousands. More than 128 bytes
        /// get pages of their own.
        case pooled
        /// Ordinary memory: for long buffers that hold secrets on their way.
        case heap
    }

    /// How many bytes there are.
    public let count: Int
    private let address: UnsafeMutableRawPointer
    private let placement: Placement

    /// Keeps a copy of `bytes`; the caller's own array is the caller's to forget.
    public convenience init(_ bytes: some ContiguousBytes, placement: Placement = .guarded) {
        self.init(count: bytes.withBytes { $0.count }, placement: placement) { output in
            bytes.withBytes { output.copyMemory(from: $0) }
        }
    }

    /// Lets `fill` write `count` zeroed bytes.
    public init(count: Int, placement: Placement = .guarded, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        switch placement == .pooled && !SecretPool.holds(count) ? .guarded : placement {
        case .guarded: (address, self.placement) = GuardedMemory.allocate(count)
        case .pooled: (address, self.placement) = (SecretPool.shared.take(count), .pooled)
        case .heap: (address, self.placement) = (.allocate(byteCount: count, alignment: 16), .heap)
        }
        if self.placement != .pooled { sodium_memzero(address, count) }
        self.count = count
        fill(UnsafeMutableRawBufferPointer(start: address, count: count))
    }

    deinit {
        switch placement {
        case .guarded:
            sodium_free(address)
        case .pooled:
            SecretPool.shared.giveBack(address, count)
        case .heap:
            sodium_memzero(address, count)
            address.deallocate()
        }
    }

    /// Lends the bytes for the length of `body`.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        body(UnsafeRawBufferPointer(start: address, count: count))
    }

    /// All of several secrets, one after the other.
    public static func joined(_ parts: [SecretBytes]) -> SecretBytes {
        SecretBytes(count: parts.reduce(0) { $0 + $1.count }, placement: .pooled) { output in
            var start = 0
            for part in parts {
                part.withBytes { UnsafeMutableRawBufferPointer(rebasing: output[start...]).copyMemory(from: $0) }
                start += part.count
            }
        }
    }

    /// A copy of the bytes at `range`, which must lie within.
    public func part(_ range: Range<Int>) -> SecretBytes {
        withBytes { bytes in
            SecretBytes(count: range.count, placement: .pooled) { $0.copyMemory(from: .init(rebasing: bytes[range])) }
        }
    }

    /// The bytes at `range`, which must lie within, not copied.
    public func view(_ range: Range<Int>) -> SecretView {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "a view lies within its secret")
        return SecretView(secret: self, range: range)
    }

    /// Writes `bytes` at `position`, where they must have room: for a buffer that no one else holds yet.
    func write(_ bytes: UnsafeRawBufferPointer, at position: Int) {
        precondition(position >= 0 && bytes.count <= count - position, "what is written lies within")
        UnsafeMutableRawBufferPointer(start: address + position, count: bytes.count).copyMemory(from: bytes)
    }

    /// Lends the bytes to a C function.
    func withPointer<R>(_ body: (UnsafePointer<UInt8>) -> R) -> R {
        body(UnsafePointer(address.assumingMemoryBound(to: UInt8.self)))
    }

    /// A copy, which nobody wipes unless `wipe` is called: for writing a key file or a sealed row.
    public var bytes: [UInt8] { withBytes { [UInt8]($0) } }

    /// Always "…".
    public var description: String { "…" }

    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Locked pages between guard pages.
enum GuardedMemory {
    /// So many bytes, and where they lie: the kernel bounds how many pages a process may guard, and what is beyond that lies in
    /// ordinary memory.
    static func allocate(_ count: Int) -> (UnsafeMutableRawPointer, SecretBytes.Placement) {
        Sodium.start()
        if let guarded = sodium_malloc(count) { return (guarded, .guarded) }
        return (.allocate(byteCount: count, alignment: 16), .heap)
    }
}

extension SecretBytes: Equatable {
    /// Compares in a time that depends only on the lengths.
    public static func == (first: SecretBytes, second: SecretBytes) -> Bool { constantTimeEquals(first, second) }
}

/// Whether both hold the same bytes, in a time that depends only on their lengths.
public func constantTimeEquals(_ first: some ContiguousBytes, _ second: some ContiguousBytes) -> Bool {
    first.withBytes { first in
        second.withBytes { second in
            first.count == second.count
                && (first.isEmpty || sodium_memcmp(first.baseAddress, second.baseAddress, first.count) == 0)
        }
    }
}

/// Overwrites the bytes of an array that held something secret, and empties it. Other copies of the array are not its concern.
public func wipe(_ bytes: inout [UInt8]) {
    bytes.withUnsafeMutableBytes { sodium_memzero($0.baseAddress, $0.count) }
    bytes = []
}
