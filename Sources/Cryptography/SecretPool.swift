private import CSodium
internal import Synchronization

/// Where small secrets lie: side by side in locked regions between guard pages. A region of its own for each key would cost
/// three pages and two system calls, and keys come in thousands.
///
/// What is given back is wiped at once. Regions stay for the secrets to come: their number is bounded by the most secrets that
/// ever lived at once.
final class SecretPool: Sendable {
    static let shared = SecretPool()

    /// Bytes that a place may hold; a secret lies in the smallest that holds it.
    static let sizes = [32, 64, 128]
    private static let regionBytes = 16_384

    /// A place that nobody uses.
    private struct Place: @unchecked Sendable {
        let address: UnsafeMutableRawPointer
    }

    private let free = Mutex<[[Place]]>(sizes.map { _ in [] })

    /// Whether a secret of `count` bytes has a place here.
    static func holds(_ count: Int) -> Bool { count <= 128 }

    /// A zeroed place for `count` bytes.
    func take(_ count: Int) -> UnsafeMutableRawPointer {
        let index = Self.index(count)
        return free.withLock { free in
            if free[index].isEmpty { free[index] = Self.region(of: Self.sizes[index]) }
            return free[index].removeLast()
        }.address
    }

    /// Wipes the place at `address`, which `take` gave for `count` bytes.
    func giveBack(_ address: UnsafeMutableRawPointer, _ count: Int) {
        let index = Self.index(count)
        sodium_memzero(address, Self.sizes[index])
        let place = Place(address: address)
        free.withLock { $0[index].append(place) }
    }

    /// Whether nothing is left in any place that nobody uses.
    var isClean: Bool {
        free.withLock { free in
            zip(free, Self.sizes).allSatisfy { places, size in
                places.allSatisfy { sodium_is_zero($0.address.assumingMemoryBound(to: UInt8.self), size) == 1 }
            }
        }
    }

    private static func index(_ count: Int) -> Int { count <= 32 ? 0 : count <= 64 ? 1 : 2 }

    private static func region(of size: Int) -> [Place] {
        let (region, _) = GuardedMemory.allocate(regionBytes)
        sodium_memzero(region, regionBytes)
        return stride(from: 0, to: regionBytes, by: size).map { Place(address: region + $0) }
    }
}
