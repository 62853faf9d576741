import Cryptography
import HomeserverStorage
import Testing

@Suite("Sealing at rest") struct StorageSealerTests {
    private func key(_ id: String, _ byte: UInt8) throws -> StorageSealer.Key {
        try #require(StorageSealer.Key(id: id, bytes: [UInt8](repeating: byte, count: 32)))
    }

    private func sealer(_ keys: [StorageSealer.Key]) -> StorageSealer {
        StorageSealer(keys: keys, random: SystemRandomSource())
    }

    @Test func `without keys values are plain, and still open when keys come`() throws {
        let value = try StorageSealer.plain.seal([1, 2, 3], context: "event:a")
        #expect(value == [0, 1, 2, 3])
        let keyed = sealer([try key("a", 1)])
        #expect(try keyed.open(value, context: "event:a") == [1, 2, 3])
        #expect(keyed.isStale(value))
    }

    @Test func `a sealed value opens for its own place only, and not when altered`() throws {
        let sealer = sealer([try key("a", 1)])
        let value = try sealer.seal([1, 2, 3], context: "event:a")
        #expect(try sealer.open(value, context: "event:a") == [1, 2, 3])
        #expect(throws: StorageSealer.Failure.damaged) { try sealer.open(value, context: "event:b") }
        for index in value.indices.dropFirst() {
            var damaged = value
            damaged[index] ^= 1
            #expect(throws: StorageSealer.Failure.self) { try sealer.open(damaged, context: "event:a") }
        }
        for count in value.indices {
            #expect(throws: StorageSealer.Failure.self) {
                try sealer.open(Array(value.prefix(count)), context: "event:a")
            }
        }
    }

    @Test func `a new key seals while the old one still opens`() throws {
        let old = sealer([try key("old", 1)])
        let value = try old.seal([9], context: "c")
        let both = sealer([try key("new", 2), try key("old", 1)])
        #expect(try both.open(value, context: "c") == [9])
        #expect(both.isStale(value) && !old.isStale(value))
        #expect(try !both.isStale(both.seal([9], context: "c")))
        #expect(throws: StorageSealer.Failure.unknownKey(id: "old")) {
            try sealer([try key("new", 2)]).open(value, context: "c")
        }
    }

    @Test func `a key has 32 bytes and says nothing of itself`() throws {
        #expect(StorageSealer.Key(id: "a", bytes: [1]) == nil)
        #expect(StorageSealer.Key(id: "", bytes: [UInt8](repeating: 0, count: 32)) == nil)
        #expect("\(try key("a", 1)) \(sealer([]))" == "… …")
    }
}
