public import SQLDatabase

/// Counts failed logins per account and per address, for all nodes alike: token buckets whose rows are kept only while
/// something was taken from them.
public struct LoginAttemptStore {
    let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Takes one attempt from the bucket of `subject`.
    /// - Parameters:
    ///   - burst: how many attempts a full bucket holds.
    ///   - perSecond: how many come back in a second.
    /// - Returns: `nil` when the attempt is allowed, else the milliseconds to wait.
    public func take(_ subject: String, burst: Double, perSecond: Double, now: Int64) throws -> Int64? {
        let row = try connection.query(
            "SELECT spent, at_ts FROM login_attempts WHERE subject = \(subject) \(raw: connection.dialect.forUpdate)"
        ).first
        let rate = max(perSecond, 0.001)
        var spent = 0.0
        if let row {
            let elapsed = Double(max(0, now - (try row.integer(1)))) / 1000
            spent = max(0, Double(try row.integer(0)) / 1000 - elapsed * rate)
        }
        guard spent + 1 <= max(burst, 1) else {
            return Int64(min((spent + 1 - max(burst, 1)) / rate, 86_400) * 1000) + 1
        }
        try save(subject, spent + 1, now)
        if row == nil { try prune(now, rate: rate, burst: burst) }
        return nil
    }

    /// Gives back an attempt that turned out right.
    public func giveBack(_ subject: String) throws {
        try connection.execute(
            "UPDATE login_attempts SET spent = spent - 1000 WHERE subject = \(subject) AND spent > 1000")
        try connection.execute("DELETE FROM login_attempts WHERE subject = \(subject) AND spent <= 1000")
    }

    private func save(_ subject: String, _ spent: Double, _ now: Int64) throws {
        let thousandths = Int64(min(spent, 1e9) * 1000)
        try connection.execute(
            """
            INSERT INTO login_attempts (subject, spent, at_ts) VALUES (\(subject), \(thousandths), \(now))
            ON CONFLICT (subject) DO UPDATE SET spent = excluded.spent, at_ts = excluded.at_ts
            """)
    }

    /// Drops buckets that are full by now, and the oldest above the limit.
    private func prune(_ now: Int64, rate: Double, burst: Double) throws {
        let refilled = now - Int64(min(max(burst, 1) / rate, 86_400 * 7) * 1000)
        try connection.execute("DELETE FROM login_attempts WHERE at_ts < \(refilled)")
        let count = try connection.query("SELECT COUNT(*) FROM login_attempts").first?.integer(0) ?? 0
        if count > AccountLimits.loginAttempts {
            try connection.execute(
                """
                DELETE FROM login_attempts WHERE subject IN (SELECT subject FROM login_attempts
                    ORDER BY at_ts LIMIT \(count - AccountLimits.loginAttempts))
                """)
        }
    }
}
