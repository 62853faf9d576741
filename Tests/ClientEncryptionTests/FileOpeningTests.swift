import Cryptography
import MatrixModel
import Testing

@testable import ClientEncryption

@Suite("Files that are decrypted as they come") struct FileOpeningTests {
    private func sealed(_ plaintext: [UInt8]) async throws -> (file: EncryptedFile, ciphertext: [UInt8]) {
        let kept = KeptBytes()
        let file = try await EncryptedFile.encrypt(plaintext, random: SystemRandomSource()) { bytes in
            await kept.keep(bytes)
            return try MXCURI("mxc://a/b")
        }
        return (try EncryptedFile(file.json), await kept.bytes)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 1000, 70_001], [1, 7, 16, 33, 65_536])
    func `pieces of any length make the file`(_ length: Int, _ piece: Int) async throws {
        let plaintext = SystemRandomSource().bytes(length)
        let (file, ciphertext) = try await sealed(plaintext)
        var opening = file.opening()
        var opened: [UInt8] = []
        var rest = ciphertext[...]
        while !rest.isEmpty {
            opened += try opening.update(Array(rest.prefix(piece)))
            rest = rest.dropFirst(piece)
        }
        opened += try opening.finish()
        #expect(opened == plaintext)
    }

    @Test func `counters carry over all sixteen bytes`() throws {
        let iv = [UInt8](repeating: 0xFF, count: 16)
        let key = [UInt8](repeating: 3, count: 32)
        let plaintext = [UInt8](repeating: 9, count: 64)
        let ciphertext = try AES256CTR.apply(key: key, iv: iv, to: plaintext)
        let file = try EncryptedFile(
            JSONValue.object([
                "v": "v2", "url": "mxc://a/b", "iv": .string(Base64.encode(iv)),
                "key": ["kty": "oct", "alg": "A256CTR", "k": .string(Base64.encode(key))],
                "hashes": ["sha256": .string(Base64.encode(SHA256.hash(ciphertext)))],
            ]))
        var opening = file.opening()
        var opened = try opening.update(Array(ciphertext[..<16]))
        opened += try opening.update(Array(ciphertext[16...]))
        opened += try opening.finish()
        #expect(opened == plaintext)
    }

    @Test func `a file that was touched or cut short is refused at its end`() async throws {
        let (file, ciphertext) = try await sealed([UInt8](repeating: 1, count: 100))
        var altered = ciphertext
        altered[50] ^= 1
        for wrong in [altered, Array(ciphertext.dropLast()), ciphertext + [0], []] {
            var opening = file.opening()
            _ = try opening.update(wrong)
            var isRefused = false
            do { _ = try opening.finish() } catch {
                isRefused = error == .mismatch(rule: "a file has the hash that its event says")
            }
            #expect(isRefused)
        }
    }
}

private actor KeptBytes {
    var bytes: [UInt8] = []

    func keep(_ bytes: [UInt8]) { self.bytes = bytes }
}
