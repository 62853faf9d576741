internal import Cryptography
internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import SQLDatabase

/// One pusher's turn.
extension PushSender {
    /// What is to be sent next for a pusher.
    private struct Step: Sendable {
        var pusher: Pusher
        var gateway: WebAddress
        var notifications: [(position: Int64, notification: PushNotification)] = []
        /// Everything up to it was looked at.
        var upTo: Int64
        var isCut: Bool
        /// nil where it was not counted.
        var unread: Int?
    }

    /// Sends what there is for a pusher, until there is no more or it fails.
    func serve(_ nid: Int64) async {
        // The hint stays for when it is tried again.
        guard !hints.isPaused(nid, at: environment.clock.monotonic()), let hint = hints.take(nid) else { return }
        var user: UserID?
        var hasFailed = false
        defer { if !hasFailed { hints.succeeded(nid) } }
        do {
            let known = try await environment.database.read { try PusherStore($0).pusher(nid: nid) }
            guard let pusher = known, pusher.isEnabled, pusher.isConfirmed, holds(Pusher.shard(of: pusher.user)) else {
                return hints.forget(nid)
            }
            user = pusher.user
            if pusher.kind == .email {
                try await mail?.serve(pusher, hints)
                return
            }
            let now = environment.clock.now()
            guard pusher.dueAt <= now, let gateway = PushNotification.gateway(of: pusher) else {
                return badge.forget(pusher.user)
            }
            guard gateways.begin(gateway.authority, nid) else {
                _ = hints.add(hint, for: nid)
                return
            }
            defer { if let next = gateways.end(gateway.authority) { start.yield(next) } }
            var next: PushHints.Hint? = hint
            while let hint = next, !Task.isCancelled {
                let step = try await step(nid, gateway, hint)
                guard let step, try await send(step) else { return }
                // What was cut off lies in the same rooms.
                next = step.isCut ? hint : hints.take(nid)
            }
        } catch {
            environment.logger.warning("pusher", metadata: ["pusher": "\(nid)", "cause": "\(error)"])
            // Another time, when it is looked through again.
            hints.forget(nid)
            _ = hints.add(.init(rooms: nil, checksBadge: true), for: nid)
            hasFailed = true
            hints.failed(nid, now: environment.clock.monotonic()) { failing.pauseOfOurs(failures: $0) }
            user.map(badge.forget)
        }
    }

    private func step(_ nid: Int64, _ gateway: WebAddress, _ hint: PushHints.Hint) async throws -> Step? {
        let looked = hints.looked(nid)
        // Without knowing how far it was looked through, rooms that were not named may have something too.
        let rooms = looked == nil ? nil : hint.rooms
        let end = rooms == nil ? nil : hint.upTo
        return try await environment.database.read { [self] connection in
            guard let pusher = try PusherStore(connection).pusher(nid: nid) else { return nil }
            let found = try reading.events(
                for: pusher.user, after: max(pusher.position, looked ?? 0), upTo: end, in: rooms,
                limit: PushLimits.notificationsAtOnce, connection)
            var step = Step(pusher: pusher, gateway: gateway, upTo: found.upTo, isCut: found.isCut)
            if hint.checksBadge || !found.events.isEmpty || pusher.told == nil {
                step.unread = try badge.count(for: pusher.user, changed: hint.rooms, connection)
            } else {
                badge.forget(pusher.user)
            }
            for event in found.events {
                let names = try names.names(for: event, to: pusher.user, connection)
                step.notifications.append(
                    (event.position, PushNotification(event, names, unread: step.unread ?? 0, for: pusher)))
            }
            return step
        }
    }

    /// Sends a step. Returns whether to go on.
    private func send(_ step: Step) async throws -> Bool {
        let pusher = step.pusher
        var told = pusher.told
        for (position, notification) in step.notifications {
            guard try await send(notification, step, upTo: position) else { return false }
            told = step.unread
        }
        if let unread = step.unread, told != unread, !step.isCut {
            if told == nil {
                // A new pusher's app has counted for itself so far.
                try await environment.database.groupedWrite { connection in
                    try PusherStore(connection).sent(pusher.nid, upTo: step.upTo, told: unread)
                }
            } else if try await !send(PushNotification(unread: unread, for: pusher), step, upTo: pusher.position) {
                return false
            }
        }
        hints.note(pusher.nid, lookedUpTo: step.upTo, isSaved: step.upTo <= pusher.position)
        return true
    }

    private func send(_ notification: PushNotification, _ step: Step, upTo position: Int64) async throws -> Bool {
        let pusher = step.pusher
        let outcome = await gateway.notify(notification, pusher, at: step.gateway)
        switch outcome {
        case .accepted: turns.note(String(pusher.nid), isSlow: false)
        case .refused(let status):
            environment.logger.info(
                "a push gateway refused a notification",
                metadata: ["gateway": "\(step.gateway.host)", "status": "\(status)"])
        case .rejected:
            environment.logger.info(
                "a pushkey is not valid any more",
                metadata: ["gateway": "\(step.gateway.host)", "user": "\(pusher.user)"])
            try await environment.database.groupedWrite { try PusherStore($0).remove(nid: pusher.nid) }
            hints.forget(pusher.nid)
            return false
        case .failed(let cause, let retryAfter):
            guard !Task.isCancelled else { return false }
            try await pause(step, cause, retryAfter)
            return false
        }
        let unread = step.unread
        try await environment.database.groupedWrite {
            try PusherStore($0).sent(pusher.nid, upTo: position, told: unread)
        }
        return true
    }

    private func pause(_ step: Step, _ cause: String, _ retryAfter: Int64) async throws {
        let pusher = step.pusher
        environment.logger.debug(
            "not pushed", metadata: ["gateway": "\(step.gateway.host)", "cause": "\(cause)"])
        if try await failing.note(pusher, upTo: step.upTo, retryAfter: retryAfter) == .hopeless {
            environment.logger.info(
                "gave up on notifications", metadata: ["gateway": "\(step.gateway.host)", "user": "\(pusher.user)"])
        }
        turns.note(String(pusher.nid), isSlow: true)
        hints.forget(pusher.nid)
        badge.forget(pusher.user)
    }
}
