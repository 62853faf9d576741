internal import Logging
internal import MatrixModel

/// Takes in what other servers say of typing, receipts and presence, and lets such things end.
struct EphemeralIntake: EphemeralReceiving {
    private static let interval = Duration.seconds(1)

    private let environment: Environment
    private let receipts: ReceiptKeeper
    private let presence: PresenceKeeper

    init(environment: Environment, receipts: ReceiptKeeper, presence: PresenceKeeper) {
        self.environment = environment
        self.receipts = receipts
        self.presence = presence
    }

    func receiveTyping(_ content: JSONView, from origin: ServerName) async throws {
        try await receipts.receiveTyping(content, from: origin)
    }

    func receiveReceipts(_ content: JSONView, from origin: ServerName) async throws {
        try await receipts.receiveReceipts(content, from: origin)
    }

    func receivePresence(_ content: JSONView, from origin: ServerName) async throws {
        try await presence.receivePresence(content, from: origin)
    }

    /// Ends typing and presence whose time is up, until the task is canceled.
    func run() async {
        while !Task.isCancelled {
            do { try await environment.clock.sleep(for: Self.interval) } catch { return }
            do {
                try await receipts.expireTyping()
                try await presence.expire()
            } catch {
                environment.logger.debug("typing and presence", metadata: ["cause": "\(error)"])
            }
        }
    }
}
