import Testing

@testable import Cryptography

@Suite("secret bytes") struct SecretBytesTests {
    @Test(arguments: [1, 31, 32, 33, 64, 65, 128])
    func `a place is zero when its secret is gone, and given again`(count: Int) {
        var address: UInt = 0
        do {
            let secret = SecretBytes([UInt8](repeating: 0xa5, count: count), placement: .pooled)
            #expect(secret.bytes == [UInt8](repeating: 0xa5, count: count))
            address = secret.withBytes { UInt(bitPattern: $0.baseAddress) }
        }
        // Regions of the pool stay, so what lies there may be read; another test may have taken the place since.
        let left = UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count)
        #expect(!left.contains(0xa5) || !left.allSatisfy { $0 == 0xa5 })
        #expect(SecretPool.shared.isClean)
    }

    @Test func `secrets in one region do not touch each other`() {
        let secrets = (0..<2000).map { number in
            SecretBytes([UInt8](repeating: UInt8(number % 251), count: 1 + number % 128), placement: .pooled)
        }
        for (number, secret) in secrets.enumerated() {
            #expect(secret.count == 1 + number % 128)
            #expect(secret.withBytes { $0.allSatisfy { $0 == UInt8(number % 251) } })
        }
    }

    @Test func `all three kinds hold, join, cut and compare alike`() {
        let bytes = (0..<200).map { UInt8($0) }
        for placement in [SecretBytes.Placement.guarded, .pooled, .heap] {
            let secret = SecretBytes(bytes, placement: placement)
            #expect(secret.bytes == bytes)
            #expect(secret.part(10..<20).bytes == Array(bytes[10..<20]))
            #expect(secret.view(10..<20).withBytes { [UInt8]($0) } == Array(bytes[10..<20]))
            #expect(SecretBytes.joined([secret.part(0..<2), secret.part(5..<6)]).bytes == [0, 1, 5])
            #expect(secret == SecretBytes(bytes, placement: .heap))
            #expect(secret != SecretBytes(bytes.reversed(), placement: .heap))
            #expect("\(secret)" == "…" && "\(secret.view(0..<2))" == "…")
        }
        #expect(constantTimeEquals([UInt8](), [UInt8]()))
        #expect(!constantTimeEquals([1] as [UInt8], [1, 2] as [UInt8]))
    }

    @Test func `a wiped array is empty`() {
        var bytes: [UInt8] = [1, 2, 3]
        wipe(&bytes)
        #expect(bytes.isEmpty)
        wipe(&bytes)
    }
}
