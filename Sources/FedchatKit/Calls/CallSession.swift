internal import ClientEncryption
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// One call of a client's, from its beginning to its end: joins a ``CallMachine`` to the client's rooms, the time, the media
/// program and the user. SDP and candidates go from the room's encryption to the program and back; they are neither
/// logged nor kept.
public actor CallSession {
    /// In the content of our events, encrypted: when it was sent by our clock, in milliseconds since 1970. A homeserver that
    /// holds an event back cannot make it new.
    static let sentAt = "org.fedchat.sent_ts"

    private struct Outgoing: Sendable {
        let event: CallEvent
        let room: RoomID
        let life: Duration
    }
    private enum Emission: Sendable {
        case media(CallKey, MediaCommand)
        case report(CallReport)
        case remember(CallKey)
    }

    private let client: Client
    private let purpose: CallPurpose
    private let emit: @Sendable (CallOutput) async -> Void
    private let reading: CallReading
    private let began = ContinuousClock.now
    private var machine: CallMachine
    /// Lines of the program are of this call.
    private var mine: CallKey?
    private var outcome: CallEnd?
    private var sendFailure: (any Error)?
    /// Why the call cannot be followed any more.
    private var failure: (any Error)?
    private var isFinished = false
    private let sends = AsyncStream<Outgoing>.makeStream()
    private let fetches = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    private let emissions = AsyncStream<Emission>.makeStream(
        bufferingPolicy: .bufferingOldest(ClientLimits.waitingCallOutput))
    /// Finished when the call is over.
    private let ending = AsyncStream<Void>.makeStream()

    /// A session of `client`'s; what it brings out goes to `emit`, one after the other.
    public init(
        _ purpose: CallPurpose, client: Client, emit: @escaping @Sendable (CallOutput) async -> Void
    ) {
        self.client = client
        self.purpose = purpose
        self.emit = emit
        reading = CallReading(client, of: purpose.room)
        machine = CallMachine(user: client.user, random: client.random)
    }

    /// Runs until the call is over; if `commands` ends, it is hung up. Returns how it ended; nil if there was none.
    /// Throws ``ClientError``: `notEncrypted`, `notFound`, and what sending an invite or an answer throws.
    public func run(_ commands: AsyncStream<CallCommand>) async throws -> CallEnd? {
        try await client.caughtUp()
        try await check()
        let store = client.store
        let known = Set(try await client.database.read { try store.knownCalls(in: $0) })
        machine = CallMachine(user: client.user, random: client.random, known: known)
        let (id, updates) = await client.updates()
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await each in self.emissions.stream { await self.bringOut(each) } }
                group.addTask { await self.sendAll() }
                group.addTask {
                    // The others go on until what is still to be sent and said is.
                    do { try await self.serve(commands, updates) } catch { await self.fail(error) }
                }
                try await group.waitForAll()
            }
            await client.stopUpdates(id)
        } catch {
            await client.stopUpdates(id)
            throw error
        }
        if let failure { throw failure }
        if outcome?.reason == .sendFailed, let sendFailure { throw sendFailure }
        return outcome
    }

    /// Whether calls may be made in the room.
    private func check() async throws {
        guard let room = purpose.room else { return }
        let store = client.store
        guard let summary = try await client.database.read({ try store.room(room, in: $0) }),
            summary.membership == "join"
        else { throw ClientError.notFound("\(room): you are not in this room") }
        guard summary.isEncrypted else { throw ClientError.notEncrypted(room) }
    }

    /// Until the call is over.
    private func serve(_ commands: AsyncStream<CallCommand>, _ updates: AsyncStream<ClientUpdate>) async throws {
        takeOld(try await reading.recent())
        let clock = client.clock
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                // A slow server keeps nothing else waiting. Whoever calls must know first whether they are called.
                try await self.reading.readBack { await self.takeOld($0) }
                await self.place()
                return false
            }
            group.addTask {
                for await update in updates {
                    let inCall = await self.roomsInCall
                    await self.take(happenings: try await self.reading.take(update, inCall: inCall))
                }
                return false
            }
            group.addTask {
                for await command in commands { await self.take(command) }
                // Nobody is there any more.
                await self.abandon()
                return false
            }
            group.addTask {
                for await _ in self.fetches.stream { await self.fetchICEServers() }; return false
            }
            group.addTask {
                while true {
                    try await clock.sleep(for: ClientLimits.callTick)
                    await self.feed(.tick)
                    await self.take(happenings: try await self.reading.release())
                }
            }
            group.addTask {
                for await _ in self.ending.stream {}
                return true
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next() { if isOver { return } }
        }
    }

    private func place() {
        guard case .place(let room, let invitee) = purpose, !isFinished else { return }
        feed(.place(room, invitee: invitee))
        // They called us, and had given up when we took it.
        if machine.activeCall == nil, outcome == nil { finish(CallEnd(.remote, .cancelled)) }
    }

    private static func id(_ text: String) -> CallID? { try? CallID(text) }

    private var roomsInCall: Set<RoomID> {
        Set(machine.ringingCalls.map(\.room) + [machine.activeCall?.room, purpose.room].compactMap(\.self))
    }

    // MARK: In

    private func take(_ command: CallCommand) {
        switch command {
        case .media(let line): take(line)
        case .mediaGone: if let mine { feed(.media(mine, .gone)) }
        case .accept: if let first = firstRinging { feed(.accept(first)) }
        case .reject:
            if let first = firstRinging {
                feed(.reject(first))
                finish(CallEnd(.local, .rejected))
            }
        case .hangUp: abandon()
        case .hold(let wanted): feed(.hold(wanted))
        }
    }

    /// A line of the program must be of the call that it was last told of, else it is late.
    private func take(_ line: JSONValue) {
        guard let mine else { return }
        do {
            guard let event = try MediaEvent(line) else { return }
            guard line["call_id"]?.string == mine.call.text else { return }
            feed(.media(mine, event))
        } catch {
            feed(.media(mine, .gone))
            client.logger.warning(
                "the media program does not keep to the protocol", metadata: ["field": "\(error.path)"])
        }
    }

    private var firstRinging: CallKey? { machine.ringingCalls.min { $0.call < $1.call } }

    private func abandon() {
        if machine.activeCall != nil { feed(.hangUp) } else { finish(nil) }
    }

    /// Nobody is left waiting for a call that cannot go on.
    private func fail(_ error: any Error) {
        if failure == nil { failure = error }
        abandon()
        finish(nil)
    }

    private func takeOld(_ happenings: [CallHappening]) {
        guard !isFinished else { return }
        let known = machine.known
        take(
            happenings: happenings.filter { happening in
                // What is over and still lies about in the room is no replay.
                guard case .event(let event) = happening, let call = event.content["call_id"]?.string.flatMap(Self.id)
                else { return true }
                return !known.contains(CallKey(room: event.room, call: call))
            }, areOld: true)
    }

    private func take(happenings: [CallHappening], areOld: Bool = false) {
        var events: [ReceivedCallEvent] = []
        for happening in happenings {
            switch happening {
            case .event(let event): events.append(event)
            case .left(let user, let room):
                feed(.received(events))
                events = []
                feed(.left(user, room))
            case .publicRoom(let room, let sender):
                say(
                    .report(
                        .notice(.publicRoom, room, nil, user: sender, detail: "a call in a room that anybody may join"))
                )
            case .unreadable(let room, let sender, let reason):
                // That a key is missing is of interest in a call's room; that an event was altered, everywhere.
                guard !areOld, roomsInCall.contains(room) || reason != "no_room_key" else { continue }
                say(.report(.notice(.unreadable, room, nil, user: sender, detail: reason)))
            }
        }
        if !events.isEmpty { feed(.received(events)) }
    }

    private func feed(_ input: CallInput) {
        perform(machine.on(input, at: ContinuousClock.now - began))
        if let active = machine.activeCall { mine = active }
    }

    // MARK: Out

    private func perform(_ actions: [CallAction]) {
        for action in actions {
            switch action {
            case .send(let event, let room, let life):
                sends.continuation.yield(Outgoing(event: event, room: room, life: life))
            case .fetchICEServers: fetches.continuation.yield()
            case .media(let key, let command): say(.media(key, command))
            case .remember(let key): say(.remember(key))
            case .report(let report):
                say(.report(report))
                react(to: report)
            }
        }
    }

    /// To be brought out in its turn. Who does not read what a call says has no call.
    private func say(_ emission: Emission) {
        guard case .dropped = emissions.continuation.yield(emission), outcome == nil else { return }
        client.logger.warning("nobody reads what a call says: it is hung up")
        outcome = CallEnd(.local, .unknownError)
        abandon()
        finish(nil)
    }

    private func react(to report: CallReport) {
        switch report {
        case .ringing(let key, _, _, _, _, _):
            guard case .answer(_, let manner) = purpose, machine.activeCall == nil, outcome == nil else { return }
            switch manner {
            case .accept: feed(.accept(key))
            case .reject:
                feed(.reject(key))
                finish(CallEnd(.local, .rejected))
            case .ask: break
            }
        case .ended(let key, let end, _):
            guard machine.activeCall == nil, end.reason != .replaced else { return }
            // Another call that rang and was missed is not the one that is waited for.
            if case .answer = purpose, key != mine { return }
            finish(end)
        default: break
        }
    }

    /// The call is over: what is still to be sent and said is, and then `run` returns.
    private func finish(_ end: CallEnd?) {
        if outcome == nil { outcome = end }
        isFinished = true
        ending.continuation.finish()
        sends.continuation.finish()
        emissions.continuation.finish()
    }

    private func sendAll() async {
        for await outgoing in sends.stream {
            let (event, room) = (outgoing.event, outgoing.room)
            var content = event.content
            content[Self.sentAt] = .integer(client.now())
            do {
                _ = try await client.send(event.type, content, to: room, within: outgoing.life, encryptedOnly: true)
            } catch {
                if sendFailure == nil { sendFailure = error }
                client.logger.warning("an event of a call was not sent", metadata: ["type": "\(event.type)"])
                feed(.sendFailed(CallKey(room: room, call: event.call), event.body))
            }
        }
    }

    private func fetchICEServers() async {
        do {
            let client = client
            let answer = try await client.within(ClientLimits.iceServersPatience, "ICE servers") {
                try await client.call(APICall(.getTurnServer))
            }
            let (servers, life) = try ICEServer.read(answer)
            feed(.iceServers(servers, life: life))
        } catch ClientError.server(let refusal) where refusal.status == 404 {
            feed(.iceServers([], life: nil))
        } catch {
            if let room = machine.activeCall?.room {
                say(.report(.notice(.noICEServers, room, nil, user: nil, detail: "\(error)")))
            }
            // Asked again later; meanwhile direct connections may do.
            feed(.iceServers([], life: .seconds(30)))
        }
    }

    private func bringOut(_ emission: Emission) async {
        switch emission {
        case .media(let key, let command): await emit(.media(command.json(for: key.call)))
        case .remember(let key):
            let store = client.store
            do {
                try await client.database.groupedWrite { try store.remember(key, in: $0) }
            } catch {
                client.logger.warning("a call was not remembered", metadata: ["error": "\(error)"])
            }
        case .report(let report):
            await emit(.report(report, report.json))
        }
    }
}
