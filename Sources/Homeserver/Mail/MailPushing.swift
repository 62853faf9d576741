internal import Cryptography
internal import HTTPMessages
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Tells users by mail what they have not read: not at once, many messages in one mail, and of a room ever more seldom while
/// it goes on.
struct MailPushing: Sendable {
    /// Events looked at for one mail.
    private static let eventsPerMail = 200
    /// How long a room causes no mail after one: at first, how much longer each time, at most; milliseconds. Then it is
    /// forgotten.
    private static let firstPause: Int64 = 10 * 60_000
    private static let pauseGrowth: Int64 = 6
    private static let longestPause: Int64 = 24 * 3_600_000
    private static let pauseForgotten: Int64 = 12 * 3_600_000
    /// Mails that ask for consent: to one address, and for one user; then one in so many seconds.
    private static let consentsPerAddress = 3.0
    private static let consentsPerUser = 10.0
    private static let secondsPerConsent = 1_000.0

    /// Pauses that ended before are taken out.
    static func forgotten(at now: Int64) -> Int64 { now - pauseForgotten }

    /// What is to be told in a mail.
    private struct Unread: Sendable {
        var digest = MailDigest()
        /// Each room that has something, with the end of its pause.
        var rooms: [Int64: MailPauseStore.Pause?] = [:]
        /// Everything up to it is told, or read.
        var upTo: Int64
        /// Whether there is more after `upTo` than is looked at at once.
        var isCut = false
    }

    let environment: Environment
    let sender: any MailSender
    let reading: PushReading
    private let names: RoomNames

    init(environment: Environment, sender: any MailSender, reading: PushReading) {
        self.environment = environment
        self.sender = sender
        self.reading = reading
        names = RoomNames(rooms: reading.rooms)
    }

    /// Looks at a pusher to whose user something happened, or whose mail is due.
    func serve(_ pusher: Pusher, _ hints: PushHints) async throws {
        let delay = environment.configuration.timeouts.mailDelay
        let now = environment.clock.now()
        // A mail that goes out soon has all that comes until then.
        if pusher.dueAt > now, pusher.failures > 0 || pusher.dueAt - now <= delay { return }
        var unread = Unread(upTo: max(pusher.position, hints.looked(pusher.nid) ?? 0))
        // What nobody is told of may be more than is looked at at once, with something to be told behind it.
        repeat {
            unread = try await look(pusher, unread)
        } while unread.isCut && unread.digest.count < Self.eventsPerMail && !Task.isCancelled
        guard unread.digest.count > 0 else {
            hints.note(pusher.nid, lookedUpTo: unread.upTo, isSaved: false)
            if pusher.dueAt > 0 {
                try await environment.database.groupedWrite {
                    try PusherStore($0).schedule(pusher.nid, dueAt: 0, waitingSince: nil)
                }
            }
            return
        }
        let since = pusher.waitingSince ?? now
        let due = unread.rooms.values.map { max(since + delay, $0?.until ?? 0) }.min() ?? since + delay
        guard due <= now else {
            if due != pusher.dueAt || pusher.waitingSince == nil {
                try await environment.database.groupedWrite {
                    try PusherStore($0).schedule(pusher.nid, dueAt: due, waitingSince: since)
                }
            }
            return
        }
        try await send(unread, pusher, now)
    }

    private func send(_ unread: Unread, _ pusher: Pusher, _ now: Int64) async throws {
        guard let address = MailAddress(pusher.pushkey) else { return }
        let link = url(.unsubscribe, pusher)
        let delay = environment.configuration.timeouts.mailDelay
        // Where it cannot be written afterwards that a mail went out, the next waits all the same.
        try await environment.database.groupedWrite {
            try PusherStore($0).schedule(pusher.nid, dueAt: now + delay, waitingSince: pusher.waitingSince ?? now)
        }
        do throws(MailError) {
            try await deliver(
                to: address, subject: unread.digest.subject(server: environment.serverName),
                text: unread.digest.text(for: pusher.user, unsubscribe: link),
                html: unread.digest.html(for: pusher.user, unsubscribe: link), unsubscribe: link)
        } catch {
            environment.logger.info("a mail was not sent", metadata: ["cause": "\(error)"])
            guard !Task.isCancelled else { return }
            if case .failed = error {
                _ = try await PusherFailing(environment: environment).note(pusher, upTo: unread.upTo)
                return
            }
        }
        try await environment.database.groupedWrite { connection in
            try PusherStore(connection).sent(pusher.nid, upTo: unread.upTo, told: nil)
            for (room, last) in unread.rooms {
                // A room that was silent for long begins anew.
                let known = last.flatMap { now - $0.until > Self.pauseForgotten ? nil : $0 }
                let length = min(known.map { $0.length * Self.pauseGrowth } ?? Self.firstPause, Self.longestPause)
                try MailPauseStore(connection).set(
                    .init(length: length, until: now + length), pusher: pusher.nid, room: room)
            }
        }
    }

    // MARK: What is unread

    /// What is known of with what comes after it.
    private func look(_ pusher: Pusher, _ known: Unread) async throws -> Unread {
        let user = pusher.user
        let after = known.upTo
        return try await environment.database.read { [self] connection in
            let found = try reading.events(
                for: user, after: after, upTo: nil, in: nil, limit: Self.eventsPerMail, connection)
            var unread = known
            (unread.upTo, unread.isCut) = (found.upTo, found.isCut)
            let pauses = try MailPauseStore(connection).pauses(of: pusher.nid)
            var read: [Int64: (places: ReadPlaces, sent: Int64)] = [:]
            for event in found.events {
                if let room = event.room {
                    var places =
                        try read[room.nid]
                        ?? (
                            ReadPlaces(of: user, room: room.nid, connection),
                            lastSent(room, after: after, by: user, connection)
                        )
                    let isRead = try places.places.hold(event.event, at: event.position, connection)
                    read[room.nid] = places
                    guard !isRead, event.position > places.sent else { continue }
                }
                unread.digest.add(event, try names.names(for: event, to: user, connection))
                unread.rooms[event.roomNID] = .some(pauses[event.roomNID])
            }
            // A mail tells of so many; of the rest it says nothing.
            if found.isCut, unread.digest.count >= Self.eventsPerMail {
                unread.upTo = try StreamPositions(connection).current("events")
            }
            return unread
        }
    }

    /// The place of the last event that a user sent to a room: who sends has read what came before.
    private func lastSent(
        _ room: SyncRoom, after: Int64, by user: UserID, _ connection: any SQLConnection
    ) throws -> Int64 {
        try connection.query(
            """
            SELECT MAX(position) FROM events
            WHERE room_nid = \(room.nid) AND position > \(after) AND sender = \(user.text)
            """
        ).first?.optionalInteger(0) ?? 0
    }

    // MARK: Consent

    /// Takes a mail that asks for consent from what one address and one user may get.
    /// - Throws: `M_LIMIT_EXCEEDED`, `DatabaseError`.
    func takeConsent(_ pusher: Pusher, _ connection: any SQLConnection) throws {
        let store = TokenBucketStore(connection)
        for (bucket, most) in [
            ("consent of \(pusher.user)", Self.consentsPerUser),
            ("consent by \(pusher.pushkey)", Self.consentsPerAddress),
        ] {
            let size = TokenBucketStore.Size(burst: most, perSecond: 1 / Self.secondsPerConsent)
            if case .empty(let milliseconds) = try store.take(from: bucket, size, now: environment.clock.now()) {
                throw MatrixError.limitExceeded(retryAfterMilliseconds: milliseconds)
            }
        }
    }

    /// Asks the owner of an address whether mail is welcome: anybody can name any address.
    /// - Throws: `M_UNKNOWN` when the mail cannot be sent.
    func askForConsent(_ pusher: Pusher) async throws(MatrixError) {
        guard let address = MailAddress(pusher.pushkey) else { return }
        let link = url(.confirm, pusher)
        let e = { (text: String) in text.escapedForMarkup }
        let text = """
            \(pusher.user) wants to be told by mail, at this address, of messages not read.

            If that is you: \(link)

            Otherwise do nothing, and there will be no more mail.

            """
        let html = """
            <!DOCTYPE html><html><head><meta charset="utf-8"></head><body>
            <p><b>\(e(pusher.user.text))</b> wants to be told by mail, at this address, of messages not read.</p>
            <p>If that is you: <a href="\(e(link))">get mail</a>.</p>
            <p>Otherwise do nothing, and there will be no more mail.</p>
            </body></html>

            """
        do {
            try await deliver(
                to: address, subject: "[\(environment.serverName)] Mail for \(pusher.user)?", text: text, html: html,
                unsubscribe: nil)
        } catch {
            environment.logger.warning("a mail was not sent", metadata: ["cause": "\(error)"])
            throw MatrixError(.unknown, "The mail that asks for your consent could not be sent", status: 502)
        }
    }

    /// The page that a link in a mail leads to.
    private func url(_ action: MailLink.Action, _ pusher: Pusher) -> String {
        let link = MailLink(
            action, user: pusher.user, appID: pusher.appID, address: pusher.pushkey, made: environment.clock.now())
        return environment.configuration.publicBaseURL + MailConsenting.path + "?link="
            + link.text(signedBy: environment.signingKeys)
    }

    private func deliver(
        to address: MailAddress, subject: String, text: String, html: String, unsubscribe: String?
    ) async throws(MailError) {
        guard let from = environment.configuration.email.from.flatMap({ MailAddress.mailbox($0) }) else {
            throw .failed("email.from is not set")
        }
        let id = Hex.encode(environment.random.bytes(16))
        let message = MailMessage(
            from: from, to: address, subject: subject, text: text, html: html, date: environment.clock.now(),
            id: "\(id)@\(environment.serverName.host)", unsubscribe: unsubscribe)
        try await sender.send(
            OutgoingMail(
                sender: from.address.text, recipient: address.text, content: message.bytes(boundary: "part-\(id)"),
                timeout: .milliseconds(environment.configuration.timeouts.mail)))
    }
}
