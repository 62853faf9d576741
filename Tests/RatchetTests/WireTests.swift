import Cryptography
import MatrixModel
import Testing

@testable import Ratchet

@Suite("bytes on the wire") struct WireTests {
    @Test func `an Olm message is laid out as published, with either form of code`() throws {
        let vectors = try Vectors.read("olm/messages.json").elements("olm_message_encoding")
        #expect(vectors.compactMap { $0["version"]?.integer } == [3, 4])
        for vector in vectors {
            let bytes = try vector.hex("hex")
            let message = try NormalMessage(parsing: bytes[...])
            #expect(message.form == (vector["version"]?.integer == 3 ? .truncated : .full))
            #expect(message.ratchetKey.bytes == Array(try vector.text("ratchet_key_ascii").utf8))
            #expect(message.index == 2)
            #expect(Array(message.ciphertext) == Array(try vector.text("ciphertext_ascii").utf8))
            #expect(Array(message.mac) == Array(try vector.text("mac_ascii").utf8))

            var writer = ProtobufWriter(version: message.form.rawValue, capacity: 64)
            writer.write(message.ratchetKey.bytes, tag: 0x0a)
            writer.write(message.index, tag: 0x10)
            writer.write(Array(message.ciphertext), tag: 0x22)
            #expect(writer.bytes == Array(message.covered))
        }
        #expect(throws: RatchetError.unsupportedVersion(5)) { try NormalMessage(parsing: [5, 0, 0]) }
        #expect(throws: RatchetError.unsupportedVersion(2)) { try MegolmMessage([2, 0, 0]) }
    }

    @Test func `the published Olm messages are refused`() throws {
        for vector in try Vectors.read("olm/messages.json").elements("olm_message_rejects") {
            let bytes = try vector.hex("hex")
            #expect(throws: RatchetError.self) { try NormalMessage(parsing: bytes[...]) }
        }
    }

    @Test func `fields we do not know are skipped, and broken ones refused`() throws {
        var reader = ProtobufReader([0x08, 0x96, 0x01, 0x35, 1, 2, 3, 4, 0x39, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 1, 7])
        guard let first = try reader.next(), case .integer(150) = first.value else { throw RatchetError.exhausted }
        guard let second = try reader.next(), case .bytes(let bytes) = second.value else {
            throw RatchetError.exhausted
        }
        #expect(second.field == 2 && Array(bytes) == [7])
        #expect(try reader.next() == nil)
        let broken: [[UInt8]] = [
            [0], [0x08], [0x12, 2, 1], [0x0b], [0x08, 0x80], [0x12, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], [0x35, 1],
        ]
        for bytes in broken {
            var reader = ProtobufReader(bytes[...])
            #expect(throws: RatchetError.self) { try reader.next() }
        }
    }

    @Test func `fields that a message does not have are skipped, as are those of another type`() throws {
        let key = Curve25519.PrivateKey.generate(random).publicKey
        let code = [UInt8](repeating: 7, count: 8)
        func foreign(_ writer: inout ProtobufWriter, bytes: [UInt8], integers: [UInt8]) {
            for tag in bytes { writer.write([9, 9], tag: tag) }
            for tag in integers { writer.write(300, tag: tag) }
        }
        var normal = ProtobufWriter(version: 3, capacity: 64)
        normal.write(key.bytes, tag: 0x0a)
        normal.write(2, tag: 0x10)
        normal.write([1], tag: 0x22)
        // The second and the third as bytes, the sixth; the first and the fourth as integers, the fifth.
        foreign(&normal, bytes: [0x12, 0x1a, 0x32], integers: [0x08, 0x20, 0x28])
        let message = try NormalMessage(parsing: (normal.bytes + code)[...])
        #expect(message.ratchetKey == key && message.index == 2 && Array(message.ciphertext) == [1])

        var megolm = ProtobufWriter(version: 3, capacity: 64)
        megolm.write(5, tag: 0x08)
        megolm.write([1], tag: 0x12)
        foreign(&megolm, bytes: [0x0a, 0x1a], integers: [0x10, 0x18])
        let group = try MegolmMessage(megolm.bytes + code + [UInt8](repeating: 7, count: 64))
        #expect(group.index == 5 && Array(group.ciphertext) == [1])

        let keys = SessionKeys(identityKey: key, baseKey: key, oneTimeKey: key)
        var preKey = ProtobufWriter(version: 3, capacity: 64)
        preKey.append(PreKeyMessage.encoded(keys, message: [1]).dropFirst())
        foreign(&preKey, bytes: [0x2a], integers: [0x08, 0x10, 0x18, 0x20])
        let first = try PreKeyMessage(preKey.bytes)
        #expect(first.keys == keys && Array(first.message) == [1])
    }

    @Test func `a Megolm ratchet wraps as published`() throws {
        for vector in try Vectors.read("megolm/ratchet.json").elements("megolm_ratchet") {
            var ratchet = try MegolmRatchet(bytes: vector.hex("start_hex"), index: 0)
            ratchet.advance()
            ratchet.advance(to: 0)
            #expect(ratchet.index == 0)
            #expect(ratchet.secret.bytes == (try vector.hex("result_hex")))
        }
    }

    @Test(arguments: [0, 254, 65_534, (1 << 24) - 3, UInt32.max - 400] as [UInt32])
    func `a Megolm ratchet leaps to where it would walk`(start: UInt32) throws {
        var walker = try MegolmRatchet(bytes: random.bytes(128), index: start)
        let leaper = walker
        for _ in 0..<700 {
            walker.advance()
            var leaped = leaper
            leaped.advance(to: walker.index)
            #expect(leaped == walker)
        }
    }

    @Test func `the last index of a Megolm session is used once`() throws {
        let ratchet = try MegolmRatchet(bytes: random.bytes(128), index: .max)
        var session = OutboundGroupSession(ratchet: ratchet, signingKey: .generate(random), isExhausted: false)
        var inbound = session.inbound
        #expect(try inbound.decrypt(session.encrypt([1])).index == .max)
        #expect(throws: RatchetError.exhausted) { try session.encrypt([1]) }
    }
}
