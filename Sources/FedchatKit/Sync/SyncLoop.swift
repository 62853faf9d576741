internal import ClientEncryption
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

extension Client {
    /// Keeps in step with the server until the task is cancelled (returns) or the session has ended (throws
    /// `notLoggedIn`). A server that is away is asked again and again.
    public func run() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.syncForever() }
            group.addTask { await self.keepUp() }
            group.addTask { await self.sendAccepted() }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func syncForever() async throws {
        var pause = ClientLimits.firstPause
        var wasAway = true
        while !Task.isCancelled {
            do {
                try await syncOnce(holding: wasAway ? 0 : ClientLimits.longPollMilliseconds)
                pause = ClientLimits.firstPause
                wasAway = false
                upkeep.continuation.yield()
            } catch ClientError.notLoggedIn {
                throw ClientError.notLoggedIn
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("sync failed", metadata: ["error": "\(error)"])
                wasAway = true
                do { try await clock.sleep(for: pause) } catch { return }
                pause = min(pause * 2, ClientLimits.longestPause)
            }
        }
    }

    /// One `/sync`; the server may hold it so many milliseconds.
    func syncOnce(holding milliseconds: Int64) async throws {
        let (store, machine) = (store, machine)
        var query = [("timeout", "\(milliseconds)"), ("filter", Self.filter), ("set_presence", "offline")]
        let since = try await database.read { try store.syncToken(in: $0) }
        if let since { query.append(("since", since)) }
        let response: JSONView
        do {
            response = try await call(
                APICall(.sync, query: query), attempts: 1,
                timeout: .milliseconds(milliseconds) + ClientLimits.callTimeout, maximumBytes: ClientLimits.syncBytes)
        } catch ClientError.server(let refusal) where since != nil && refusal.status == 400 {
            // The server does not know where we were: it begins anew.
            try await database.write { try store.loseSyncToken(in: $0) }
            throw ClientError.server(refusal)
        }
        let missed = since == nil ? try await missedChanges(until: response) : nil
        let applying = SyncApplying(store: store, machine: machine, isFirst: since == nil)
        // Where nothing has come nothing is written.
        let isIdle = try await database.read { try applying.isIdle(response, since: since, in: $0) }
        let update =
            isIdle
            ? ClientUpdate()
            : try await database.write { connection in
                // A first answer does not say whose devices have changed.
                if let missed {
                    try machine.noteMissedChanges(missed, in: connection)
                } else if since == nil {
                    try machine.noteMissedChanges(in: connection)
                }
                return try applying.apply(response, in: connection)
            }
        report(update.outcome)
        note(update.outcome.verification)
        if !update.outcome.secrets.isEmpty { forgetBackupCheck() }
        uncountedRoomKeys += update.roomKeys.count
        hasSynced = true
        recent.take(update, at: now())
        announce(update)
    }

    /// Whose devices have changed since the position that the server did not know any more for a sync; nil where it does not
    /// say, or where there is none. This must be known before the answer is taken in, for what is stale is kept with it.
    private func missedChanges(until response: JSONView) async throws -> JSONView? {
        let store = store
        guard let lost = try await database.read({ try store.lostSyncToken(in: $0) }),
            let now = response["next_batch"]?.string
        else { return nil }
        do {
            let answer = try await call(EncryptionMachine.missedChanges(from: lost, to: now), attempts: 1)
            return answer["changed"]?.isArray == true ? answer : nil
        } catch ClientError.notLoggedIn {
            throw ClientError.notLoggedIn
        } catch {
            logger.info("all lists of devices are asked for: \(error)")
            return nil
        }
    }

    private static let filter: String = {
        let filter: JSONValue = [
            "room": [
                "timeline": ["limit": .integer(Int64(ClientLimits.timelineEvents))],
                "ephemeral": ["types": []],
            ],
            "presence": ["types": []],
        ]
        return String(decoding: filter.serialized(), as: UTF8.self)
    }()

    func report(_ outcome: SyncOutcome) {
        for warning in outcome.warnings { logger.warning("\(warning)") }
        for changed in outcome.changedKeys {
            logger.warning("the keys of \(changed.user)'s device \(changed.device) have changed: refused")
        }
        for changed in outcome.changedIdentities {
            switch changed.change {
            case .afterPinning: logger.notice("the identity of \(changed.user) has changed")
            case .afterVerification:
                logger.warning("the identity of \(changed.user), who was verified, has changed: sending to them stops")
            }
        }
    }

    private func keepUp() async {
        for await _ in upkeep.stream {
            do {
                try await keepUpOnce()
            } catch {
                guard !Task.isCancelled else { return }
                logger.warning("upkeep failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// After each sync: uploads keys that are due, asks for devices that changed, sends what was left over, looks for keys
    /// that are missing. Each for itself: what a server refuses of one keeps none of the others from being done. Throws the
    /// first failure when all were tried; at once without a network or a session.
    func keepUpOnce() async throws {
        let parts: [@Sendable (Client) async throws -> Void] = [
            { client in try await client.keyTurns.hold { try await client.uploadKeys() } },
            { client in try await client.keyTurns.hold { try await client.queryKeys(for: nil) } },
            { client in try await client.keyTurns.hold { try await client.claimKeys(for: []) } },
            { client in try await client.keyTurns.hold { try await client.flushToDevice() } },
            { client in try await client.keyTurns.hold { try await client.sendDueSignatures() } },
            { client in try await client.keyTurns.hold { try await client.answerSecretRequests() } },
            { try await $0.payOwedKeys() }, { try await $0.sendLeftOver() }, { try await $0.cancelInterrupted() },
            { try await $0.refuseVerifications() }, { try await $0.heal() }, { try await $0.backUp() },
            { try await $0.boundRoomKeys() },
        ]
        var failure: (any Error)?
        for part in parts {
            do { try await part(self) } catch {
                switch error {
                case ClientError.network, ClientError.notLoggedIn, is CancellationError: throw error
                default: break
                }
                if failure != nil { logger.warning("a part of the upkeep failed", metadata: ["error": "\(error)"]) }
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Counts the room keys at the start, and after so many new ones, and forgets those beyond the bound.
    private func boundRoomKeys() async throws {
        guard uncountedRoomKeys >= ClientLimits.uncountedRoomKeys else { return }
        uncountedRoomKeys = 0
        let (store, machine) = (store, machine)
        let count = try await database.write { connection in
            let rooms = try store.rooms(in: connection).filter { ["join", "invite"].contains($0.membership) }
            return try machine.forgetExcessRoomKeys(keeping: Set(rooms.map(\.room)), in: connection)
        }
        if count > 0 { logger.warning("there are too many room keys: \(count) were forgotten") }
    }

    /// What each sync brings from now on.
    func updates() -> (id: Int, stream: AsyncStream<ClientUpdate>) {
        let (stream, continuation) = AsyncStream<ClientUpdate>.makeStream(
            bufferingPolicy: .bufferingNewest(ClientLimits.waitingUpdates))
        nextListener += 1
        listeners[nextListener] = continuation
        return (nextListener, stream)
    }

    func stopUpdates(_ id: Int) {
        listeners.removeValue(forKey: id)?.finish()
    }

    /// Tells those who listen.
    func announce(_ update: ClientUpdate) {
        for listener in listeners.values { listener.yield(update) }
    }

    /// Waits until the first sync since the start is taken in. Throws `timedOut` or `notLoggedIn`.
    public func caughtUp() async throws {
        guard !isLoggedOut else { throw ClientError.notLoggedIn }
        guard !hasSynced else { return }
        try await wait(ClientLimits.firstSync, "the first sync") { _ in true }
    }

    /// Waits until `condition` holds, asking it after each sync.
    func wait(
        _ limit: Duration, _ what: String, until condition: @escaping @Sendable (isolated Client) async throws -> Bool
    ) async throws {
        let (id, stream) = updates()
        defer { stopUpdates(id) }
        if hasSynced, try await condition(self) { return }
        try await within(limit, what) {
            for await _ in stream {
                if try await condition(self) { return }
            }
            throw ClientError.timedOut(what)
        }
    }
}
