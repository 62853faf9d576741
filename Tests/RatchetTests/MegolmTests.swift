import Cryptography
import MatrixModel
import Ratchet
import Testing

@Suite("Megolm") struct MegolmTests {
    @Test func `messages are read in any order, again and again, with their indexes`() throws {
        var outbound = OutboundGroupSession(random: random)
        var inbound = try InboundGroupSession(sessionKey: outbound.sessionKey)
        #expect(inbound.id == outbound.id)
        #expect(inbound.isSigned)
        let messages = try (0..<600).map { try outbound.encrypt([UInt8($0 % 256)]) }
        var dice = Dice(state: 1)
        for index in Array(0..<600).shuffled(using: &dice).prefix(100) {
            for _ in 0..<2 {
                let decrypted = try inbound.decrypt(messages[index])
                #expect(decrypted.index == UInt32(index))
                #expect(decrypted.plaintext == [UInt8(index % 256)])
            }
        }
    }

    @Test func `who joins later reads nothing earlier, nor exports it`() throws {
        var outbound = OutboundGroupSession(random: random)
        let early = try outbound.encrypt([1])
        _ = try outbound.encrypt([2])
        var inbound = try InboundGroupSession(sessionKey: outbound.sessionKey)
        #expect(inbound.firstKnownIndex == 2)
        #expect(throws: RatchetError.indexTooOld(first: 2)) { try inbound.decrypt(early) }
        #expect(throws: RatchetError.indexTooOld(first: 2)) { try inbound.exportedKey(at: 1) }
        #expect(try inbound.decrypt(outbound.encrypt([3])).plaintext == [3])
    }

    @Test func `an exported key reads from its index on, and exports alike`() throws {
        var outbound = OutboundGroupSession(random: random)
        let inbound = outbound.inbound
        let messages = try (0..<300).map { try outbound.encrypt([UInt8($0 % 256)]) }
        for index in [0, 1, 7, 255, 256, 299] as [UInt32] {
            let key = try inbound.exportedKey(at: index)
            #expect(key.count == 165)
            var imported = try InboundGroupSession(exportedKey: key)
            #expect(!imported.isSigned)
            #expect(imported.firstKnownIndex == index)
            #expect(try imported.decrypt(messages[299]).index == 299)
            #expect(try imported.exportedKey(at: 1 << 24 + 77) == inbound.exportedKey(at: 1 << 24 + 77))
            if index > 0 { #expect(throws: RatchetError.self) { try imported.decrypt(messages[Int(index) - 1]) } }
        }
    }

    @Test func `of two halves the one that reads more is better`() throws {
        var outbound = OutboundGroupSession(random: random)
        let early = outbound.inbound
        for _ in 0..<3 { _ = try outbound.encrypt([]) }
        var late = outbound.inbound
        #expect(early.relation(to: late) == .better)
        #expect(late.relation(to: early) == .worse)
        #expect(late.relation(to: late) == .equal)
        #expect(OutboundGroupSession(random: random).inbound.relation(to: late) == .unconnected)
        var forged = try early.exportedKey(at: 0)
        forged[10] ^= 1
        #expect(try InboundGroupSession(exportedKey: forged).relation(to: late) == .unconnected)
        late.forget(before: 9)
        #expect(late.firstKnownIndex == 9)
        #expect(try late.exportedKey == early.exportedKey(at: 9))
    }

    @Test func `no altered byte and no cut is read`() throws {
        var outbound = OutboundGroupSession(random: random)
        var inbound = outbound.inbound
        let message = try outbound.encrypt(Array("hello".utf8))
        let before = inbound
        for index in message.indices {
            var altered = message
            altered[index] ^= 1 << UInt8(index % 8)
            #expect(throws: RatchetError.self) { try inbound.decrypt(altered) }
            #expect(throws: RatchetError.self) { try inbound.decrypt(Array(message.prefix(index))) }
        }
        #expect(inbound == before)
        #expect(try inbound.decrypt(message).plaintext == Array("hello".utf8))
    }

    @Test func `no altered or cut session key is taken`() throws {
        let key = OutboundGroupSession(random: random).sessionKey
        #expect(key.count == 229)
        for index in key.indices {
            var altered = key
            altered[index] ^= 1
            #expect(throws: RatchetError.self) { try InboundGroupSession(sessionKey: altered) }
            #expect(throws: RatchetError.self) { try InboundGroupSession(sessionKey: Array(key.prefix(index))) }
        }
        #expect(throws: RatchetError.unsupportedVersion(2)) { try InboundGroupSession(exportedKey: key) }
    }

    @Test func `the published messages are refused`() throws {
        for vector in try Vectors.read("megolm/ratchet.json").elements("megolm_message_rejects") {
            let bytes = try vector.hex("hex")
            #expect(throws: RatchetError.self) { try MegolmMessage(bytes) }
        }
    }
}
