import FedchatKit
import MatrixModel

/// What a command is told beside what it asked for.
extension DaemonRequests {
    /// Tells the command what its user should know of devices and identities, before its answer. Others leave it to those
    /// that can say it in their JSON.
    func tellNotices(after method: String, _ connection: DaemonConnection) async {
        guard ["send", "send.file"].contains(method) else { return }
        // It stays due where this fails.
        _ = try? await client.tellTrustNotices { await connection.write(RPC.notification("notice", $0.json)) }
    }

    /// The same while something lasts, as it comes up.
    func tellingNotices<Result: Sendable>(
        _ connection: DaemonConnection, _ work: @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { [client] in
                try await client.followTrustNotices { await connection.write(RPC.notification("notice", $0.json)) }
            }
            defer { group.cancelAll() }
            return try await work()
        }
    }
}
