internal import HomeserverStorage
internal import Logging
internal import SQLDatabase

/// Takes out what has grown old, so that no table grows without bound.
struct Housekeeping: Sendable {
    static let interval = Duration.seconds(600)

    /// Between two steps of what takes many, so that others get their turn.
    static let stepPause = Duration.milliseconds(50)

    let environment: Environment
    let media: MediaRoutes

    /// Runs until the task is cancelled.
    func run() async {
        await indexRelations()
        await inSteps("building the user directory") { try UserDirectory($0).buildStep() }
        await environment.clock.every(Self.interval) {
            await reseal()
            let now = environment.clock.now()
            let sealer = environment.sealer
            let kept = environment.configuration.timeouts
            do {
                try await environment.database.write { connection in
                    try InboundStaging(connection).forgetAnswers(before: now - kept.federationAnswersKept)
                    try ToDeviceStore(connection, sealer).forgetReceived(before: now - kept.messageIDsKept)
                    try ReplyLog(connection).removeAnswers(before: now - kept.repliesKept)
                    try PresenceStore(connection).forget(before: now - kept.presenceKept)
                    try StickyEventStore(connection).forget(before: now)
                    try Outbox(connection).dropEDUs(before: now - kept.edusKept)
                    try UnreadStore(connection).forgetLeft()
                    try SlidingConnectionStore(connection).end(
                        unusedSince: now - kept.slidingConnectionsKept, limit: SyncLimits.slidingEndedAtOnce)
                    try MailPauseStore(connection).forget(before: MailPushing.forgotten(at: now))
                }
                try await media.sweep()
            } catch {
                environment.logger.warning("housekeeping", metadata: ["cause": "\(error)"])
            }
        }
    }

    /// Brings everything under the key that seals now, some rows at a time.
    private func reseal() async {
        let sealer = environment.sealer
        await inSteps("resealing") { try Resealing($0, sealer).step() }
    }

    /// Finds the relations of events that were there before these were kept, some rows at a time.
    private func indexRelations() async {
        let sealer = environment.sealer
        await inSteps("finding relations") { try RelationStore($0).indexOlder(sealer, limit: Resealing.rowsPerStep) }
    }

    /// Does something again and again until it says that there is no more.
    private func inSteps(_ name: String, _ step: @escaping @Sendable (any SQLConnection) throws -> Bool) async {
        do {
            while !Task.isCancelled {
                guard try await environment.database.write(step) else { return }
                try await environment.clock.sleep(for: Self.stepPause)
            }
        } catch is CancellationError {
            return
        } catch {
            environment.logger.error("\(name) stopped", metadata: ["cause": "\(error)"])
        }
    }
}
