private import CSodium

/// Bytes that must not outlive their use: never copied, wiped when the last owner lets go.
public final class SecretBytes: @unchecked Sendable, CustomStringConvertible, CustomReflectable {
    /// Where the bytes lie.
    public enum Placement: Sendable {
        /// Own locked pages between guard pages: for the few keys that live as long as the process.
        case guarded
        /// Ordinary memory: for keys that come in thousands, as pages are few.
        case heap
    }

    /// How many bytes there are.
    public let count: Int
    private let address: UnsafeMutableRawPointer
    private let placement: Placement

    /// Keeps a copy of `bytes`; the caller's own array is the caller's to forget.
    public convenience init(_ bytes: [UInt8], placement: Placement = .guarded) {
        self.init(count: bytes.count, placement: placement) { $0.copyBytes(from: bytes) }
    }

    /// Lets `fill` write `count` zeroed bytes.
    public init(count: Int, placement: Placement = .guarded, fill: (UnsafeMutableRawBufferPointer) -> Void) {
        Sodium.start()
        switch placement {
        case .guarded:
            guard let guarded = sodium_malloc(count) else { fatalError("out of guarded memory") }
            address = guarded
        case .heap:
            address = .allocate(byteCount: count, alignment: 16)
        }
        self.count = count
        self.placement = placement
        let bytes = UnsafeMutableRawBufferPointer(start: address, count: count)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        fill(bytes)
    }

    deinit {
        switch placement {
        case .guarded:
            sodium_free(address)
        case .heap:
            sodium_memzero(address, count)
            address.deallocate()
        }
    }

    /// Lends the bytes for the length of `body`.
    public func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try body(UnsafeRawBufferPointer(start: address, count: count))
    }

    /// Lends the bytes to a C function.
    func withPointer<R>(_ body: (UnsafePointer<UInt8>) -> R) -> R {
        body(UnsafePointer(address.assumingMemoryBound(to: UInt8.self)))
    }

    /// A copy, which nobody wipes: for writing a key file or a sealed row.
    public var bytes: [UInt8] { withBytes { [UInt8]($0) } }

    /// Always "…".
    public var description: String { "…" }

    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
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
