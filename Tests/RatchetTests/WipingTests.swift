import Cryptography
import Glibc
import Testing

@testable import Ratchet

/// Looks for secrets in all of the process's memory once their owners are gone, as another process with its memory would.
///
/// One test at a time: what one of them has read of the memory holds what another looks for.
@Suite("secrets are wiped", .serialized) struct WipingTests {
    /// Copies of secrets, to look for them.
    final class Sought {
        private var needles: [(name: String, address: UnsafeMutableRawPointer)] = []
        private static let count = 32

        deinit {
            for needle in needles { needle.address.deallocate() }
        }

        func add(_ name: String, _ secret: SecretBytes, from start: Int = 0) {
            let address = UnsafeMutableRawPointer.allocate(byteCount: Self.count, alignment: 16)
            secret.withBytes {
                UnsafeMutableRawBufferPointer(start: address, count: Self.count).copyMemory(
                    from: .init(rebasing: $0[start..<(start + Self.count)]))
            }
            needles.append((name, address))
        }

        var names: [String] { needles.map(\.name) }

        /// Those that are in the process's memory besides here.
        func found() throws -> [String] {
            let file = open("/proc/self/mem", O_RDONLY)
            try #require(file >= 0)
            defer { close(file) }
            let size = 1 << 20
            let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
            defer {
                buffer.initializeMemory(as: UInt8.self, repeating: 0, count: size)
                buffer.deallocate()
            }
            var found: Set<String> = []
            for (start, end) in try Self.regions() {
                var at = start
                while at < end {
                    let count = pread(file, buffer, min(size, end - at), off_t(at))
                    guard count > 0 else { break }
                    for (name, hit) in try hits(in: buffer, count) where isElsewhere(at + hit, buffer, size) {
                        found.insert(name)
                    }
                    // What lies across the end of a part is looked at again.
                    at += at + count < end ? max(count - Self.count, 8) : count
                }
            }
            return found.sorted()
        }

        private typealias Search = @convention(c) (UnsafeRawPointer, Int, UnsafeRawPointer, Int) -> UnsafeRawPointer?

        private func hits(in buffer: UnsafeRawPointer, _ count: Int) throws -> [(String, Int)] {
            // The headers hide it behind a macro.
            let memmem = unsafeBitCast(try #require(dlsym(nil, "memmem")), to: Search.self)
            var hits: [(String, Int)] = []
            for needle in needles {
                var from = 0
                while from < count, let hit = memmem(buffer + from, count - from, needle.address, Self.count) {
                    hits.append((needle.name, hit - buffer))
                    from = hit - buffer + 1
                }
            }
            return hits
        }

        /// Neither one of our copies nor what was just read of them.
        private func isElsewhere(_ address: Int, _ buffer: UnsafeRawPointer, _ size: Int) -> Bool {
            let start = Int(bitPattern: buffer)
            return !(start..<(start + size)).contains(address)
                && !needles.contains { Int(bitPattern: $0.address) == address }
        }

        /// What the process may write: private memory, heaps and stacks.
        private static func regions() throws -> [(Int, Int)] {
            let maps = try #require(contents("/proc/self/maps"))
            return String(decoding: maps, as: UTF8.self).split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ", omittingEmptySubsequences: true)
                guard words.count > 1, words[1].hasPrefix("rw") else { return nil }
                let ends = words[0].split(separator: "-").compactMap { Int($0, radix: 16) }
                return ends.count == 2 ? (ends[0], ends[1]) : nil
            }
        }
    }

    @Test func `a secret that lives is found`() throws {
        let sought = Sought()
        let secrets = [SecretBytes.Placement.guarded, .pooled, .heap].map { placement in
            SecretBytes(random.bytes(32), placement: placement)
        }
        for (name, secret) in zip(["1", "2", "3"], secrets) { sought.add(name, secret) }
        #expect(try sought.found() == ["1", "2", "3"])
        withExtendedLifetime(secrets) {}
    }

    /// Uses sessions of both kinds, pickles and an account; gives what their secrets were.
    @inline(never) private func useEverything() throws -> Sought {
        let sought = Sought()
        let pickleKey = random.bytes(32)
        var pair = try OlmPair.acquainted()
        let messages = try (0..<5).map { try pair.alice.encrypt([UInt8($0)], random: random) }
        _ = try pair.bob.decrypt(messages[4])
        sought.add("a receiving chain", pair.bob.receiving[0].chain.secret)
        sought.add("a skipped key", pair.bob.receiving[0].skipped[1].key)
        if case .ours(let root, _, let chain) = pair.alice.turn {
            sought.add("a root key", root.secret)
            sought.add("a sending chain", chain.secret)
        }
        let session = try OlmSession(pickle: pair.bob.pickle(key: pickleKey, random: random), key: pickleKey)
        #expect(session == pair.bob)

        var group = OutboundGroupSession(random: random)
        var inbound = group.inbound
        for part in 0..<4 { sought.add("part \(part) of a ratchet", group.ratchet.secret, from: part * 32) }
        for _ in 0..<3 { _ = try inbound.decrypt(group.encrypt([1])) }
        _ = try OutboundGroupSession(pickle: group.pickle(key: pickleKey, random: random), key: pickleKey)

        var account = pair.aliceAccount
        account.generateOneTimeKeys(3, random: random)
        account.generateFallbackKey(random: random)
        sought.add("an identity key", SecretBytes(account.identitySecret))
        sought.add("a one-time key", SecretBytes(try #require(account.oneTimeKeys.first).secret))
        sought.add("a signing key", account.signingKey.withSeed { $0 })
        _ = try OlmAccount(pickle: account.pickle(key: pickleKey, random: random), key: pickleKey)
        let dehydration = SecretBytes(random.bytes(32))
        _ = try DehydratedDevice(account, key: dehydration, random: random).account(key: dehydration)

        let shared = try Curve25519.PrivateKey.generate(random).agreement(with: pair.bobAccount.curve25519Key)
        sought.add("a shared secret", shared)
        return sought
    }

    @Test func `sessions leave none of their secrets behind`() throws {
        let sought = try useEverything()
        // Once more, so that what stays on the stack by chance is of the second.
        _ = try useEverything()
        #expect(sought.names.count == 12)
        let found = try sought.found()
        #expect(found == [], "\(found.joined(separator: ", "))")
    }

    @Test func `descriptions show no secret`() throws {
        let pair = try OlmPair.acquainted()
        let group = OutboundGroupSession(random: random)
        var shown = ""
        dump(pair.alice, to: &shown)
        dump(pair.bobAccount, to: &shown)
        dump(group, to: &shown)
        dump(group.inbound, to: &shown)
        shown += "\(pair) \(group) \(String(reflecting: pair)) \(String(reflecting: group))"
        var secrets = [pair.aliceAccount.ed25519SigningKey.seed, pair.bobAccount.identitySecret.bytes]
        if case .ours(let root, let key, let chain) = pair.alice.turn {
            secrets += [root.secret.bytes, key.bytes, chain.secret.bytes]
        }
        secrets.append(Array(group.ratchet.secret.bytes.prefix(32)))
        for secret in secrets {
            #expect(!shown.contains(Base64.encode(secret)))
            #expect(!shown.contains(Hex.encode(secret)))
            #expect(!shown.contains(secret.map { "\($0)" }.joined(separator: ", ")))
            // As `dump` writes an array, one element a line.
            #expect(!shown.contains(secret.prefix(6).map { "- \($0)" }.joined(separator: "\n")))
        }
    }
}
