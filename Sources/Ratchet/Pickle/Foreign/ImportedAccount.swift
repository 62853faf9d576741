internal import Cryptography

extension OlmAccount {
    /// A one-time or fallback key of another library's account.
    struct ImportedKey {
        let number: UInt64
        let isPublished: Bool
        let secret: Curve25519.PrivateKey
    }

    /// An account whose keys had numbers and marks of their own. Here one number separates those published from those not,
    /// so unpublished ones before it get new numbers; the names of published ones are not needed any more.
    init(
        imported keys: [ImportedKey], fallbacks: [ImportedKey], nextNumber: UInt64, signingKey: Ed25519.SigningKey,
        identitySecret: Curve25519.PrivateKey
    ) {
        let sorted = keys.sorted { $0.number < $1.number }.suffix(Limits.oneTimeKeys)
        let published = sorted.filter(\.isPublished)
        var next = max(nextNumber, (sorted.last?.number ?? 0) + 1)
        func renumbered(_ key: ImportedKey) -> OneTimeKey {
            defer { next += 1 }
            return OneTimeKey(number: next, secret: key.secret)
        }
        // vodozemac counts from 0, which here is the number of a published fallback key.
        let top = published.last?.number ?? 0
        let unpublished = sorted.filter { !$0.isPublished }.map { key in
            key.number <= top ? renumbered(key) : OneTimeKey(number: key.number, secret: key.secret)
        }.sorted { $0.number < $1.number }
        let mark = unpublished.first?.number ?? next
        let fallback = fallbacks.first.map { key in
            key.isPublished ? OneTimeKey(number: 0, secret: key.secret) : renumbered(key)
        }
        self.init(
            signingKey: signingKey, identitySecret: identitySecret, nextNumber: next,
            oneTimeKeys: published.map { OneTimeKey(number: $0.number, secret: $0.secret) } + unpublished,
            publishedBelow: mark, fallback: fallback,
            previousFallback: fallbacks.dropFirst().first.map { OneTimeKey(number: 0, secret: $0.secret) })
    }
}
