internal import Cryptography
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Checks a user's password, slowly and not too often: failures are counted per account and per address, for all nodes.
struct PasswordChecking: Sendable {
    let environment: Environment
    let passwords: any PasswordHashing

    /// The account when the password is right, deactivated and locked ones too; `nil` when it is wrong or there is none.
    /// Throws `M_LIMIT_EXCEEDED` after too many failures.
    func account(of user: UserID, password: String, address: String) async throws -> Account? {
        guard password.utf8.count <= AuthenticationLimits.passwordBytes else { return nil }
        let subjects = ["account \(user.text)", "address \(address)"]
        let account = try await take(subjects, user)
        // Without an account a hash is compared all the same, so that time tells nothing.
        let hash = account?.passwordHash ?? Self.nobody
        let verdict = try await passwords.verify(password, against: hash)
        guard let account, account.passwordHash != nil, verdict.matches else { return nil }
        let renewed = verdict.needsRehash ? try await passwords.make(password) : nil
        let limits = environment.settings.rateLimits
        // Not grouped with others: the rows of several buckets are held until the commit.
        try await environment.database.write { connection in
            let buckets = TokenBucketStore(connection)
            if limits.isEnabled {
                for subject in subjects { try buckets.giveBack(to: subject, Self.size(subject, limits)) }
            }
            if let renewed { try AccountStore(connection).setPasswordHash(renewed, of: user) }
        }
        return account
    }

    /// An address may be that of many users.
    private static func size(
        _ subject: String, _ limits: HomeserverConfiguration.RateLimits
    ) -> TokenBucketStore.Size {
        TokenBucketStore.Size(
            burst: limits.logins.burst * (subject.hasPrefix("address") ? 4 : 1), perSecond: limits.logins.perSecond)
    }

    private func take(_ subjects: [String], _ user: UserID) async throws -> Account? {
        let limits = environment.settings.rateLimits
        let now = environment.clock.now()
        return try await environment.database.write { connection in
            if limits.isEnabled {
                let buckets = TokenBucketStore(connection)
                for subject in subjects {
                    let answer = try buckets.take(from: subject, Self.size(subject, limits), now: now)
                    if case .empty(let milliseconds) = answer {
                        throw MatrixError.limitExceeded(retryAfterMilliseconds: milliseconds)
                    }
                }
                try buckets.removeFull(now: now)
            }
            return try AccountStore(connection).account(user)
        }
    }

    /// Hashes a new password. Throws `M_WEAK_PASSWORD`, `M_INVALID_PARAM`.
    func hash(_ password: String) async throws(MatrixError) -> String {
        guard !password.isEmpty else { throw MatrixError(.weakPassword, "The password is empty") }
        guard password.utf8.count <= AuthenticationLimits.passwordBytes else {
            throw MatrixError(.invalidParameter, "The password is too long")
        }
        return try await passwords.make(password)
    }

    /// The standard cost's hash of nothing anybody knows.
    private static let nobody =
        "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
}
