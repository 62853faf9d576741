public import ClientEncryption
internal import SQLDatabase

/// What came up of devices and identities since their owners were met, to be told once.
extension Client {
    /// Tells what is due now, as far as it is told at once. What `tell` answers false to, and all after it, stays due.
    /// - Returns: whether there is still somebody to tell.
    @discardableResult
    public func tellTrustNotices(_ tell: @Sendable (TrustNotice) async -> Bool) async throws -> Bool {
        let machine = machine
        guard try await !database.read({ try machine.trustNotices(in: $0) }).isEmpty else { return true }
        // Taken before they are told: two commands at once tell none twice, and none waits for a terminal that stands still.
        var notices = try await database.write { try machine.takeTrustNotices(in: $0) }[...]
        while let next = notices.first {
            guard await tell(next) else {
                let left = notices
                try await database.write { try machine.putBack(left, in: $0) }
                return false
            }
            notices.removeFirst()
        }
        return true
    }

    /// Tells them as they come up, until nobody is there to tell or the task is cancelled.
    public func followTrustNotices(_ tell: @Sendable (TrustNotice) async -> Bool) async throws {
        let (id, stream) = updates()
        defer { stopUpdates(id) }
        guard try await tellTrustNotices(tell) else { return }
        for await _ in stream {
            guard try await tellTrustNotices(tell) else { return }
        }
    }
}
