/// One after the other, in the order of asking.
actor Turns {
    private var isTaken = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    /// Runs `work` while nobody else's runs.
    func hold<R: Sendable>(_ work: @Sendable () async throws -> R) async rethrows -> R {
        await take()
        do {
            let result = try await work()
            give()
            return result
        } catch {
            give()
            throw error
        }
    }

    private func take() async {
        guard isTaken else {
            isTaken = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    private func give() {
        if waiting.isEmpty { isTaken = false } else { waiting.removeFirst().resume() }
    }
}
