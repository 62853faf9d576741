import ClientEncryption
import FedchatKit
import FedchatTesting
import MatrixModel

/// Alice's one device and Bob's, a room between them, and media, all from one seed.
struct CallWorld {
    /// A media program's side of WebRTC: what it may be told when.
    struct Media {
        enum Signaling { case stable, haveLocalOffer, haveRemoteOffer }
        var call: CallKey?
        var signaling = Signaling.stable
        /// The request whose description is being made.
        var making: Int64?
        /// The offer that was last agreed on, by name.
        var agreed: String?
        var ownOffer: String?
        var theirOffer: String?
        var isConnected = false
        var isClosed = true
    }

    private enum Event {
        case deliver(to: Int, ReceivedCallEvent)
        case describe(Int, CallKey, request: Int64, SessionDescription.Kind)
        case input(Int, CallInput)
        case wake
    }

    var phones: [TestPhone]
    var media: [Media]
    var now = Duration.zero
    private(set) var violations: [String] = []
    private(set) var log: [String] = []
    private var generator: SplitMix64
    private let losing: Double
    private let isReordering: Bool
    private var queue: [(at: Duration, order: Int, event: Event)] = []
    private var count = 0
    /// When the last event got to a device: a room keeps its order.
    private var lastArrival: [Duration]

    init(seed: UInt64, losing: Double, reordering: Bool, devicesOfBob: Int = 2) throws {
        generator = SplitMix64(seed: seed)
        self.losing = losing
        isReordering = reordering
        phones = [try TestPhone("@alice:a.test", "ALICE", seed: seed &* 3 &+ 1)]
        for number in 0..<devicesOfBob {
            phones.append(try TestPhone("@bob:b.test", "BOB\(number)", seed: seed &* 7 &+ UInt64(number) &+ 2))
        }
        media = phones.map { _ in Media() }
        lastArrival = phones.map { _ in .zero }
    }

    mutating func chance(_ bound: Int) -> Int { Int.random(in: 0..<max(bound, 1), using: &generator) }

    private mutating func schedule(_ event: Event, in wait: Duration) {
        count += 1
        queue.append((now + wait, count, event))
    }

    mutating func place(_ who: Int, at time: Duration) {
        let other = who == 0 ? "@bob:b.test" : "@alice:a.test"
        guard let room = TestPhone.room, let invitee = try? UserID(other) else { return }
        schedule(.input(who, .place(room, invitee: invitee)), in: time - now)
    }

    /// Somebody wants something of the call.
    mutating func disturb() {
        let who = chance(phones.count)
        switch chance(4) {
        case 0: on(who, .hold(true))
        case 1: on(who, .hold(false))
        default: if let key = phones[who].machine.activeCall { on(who, .media(key, .negotiationNeeded)) }
        }
    }

    /// Runs until a time; ticks on the way.
    mutating func run(until end: Duration) {
        while now < end {
            let next = queue.indices.min { (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order) }
            // While nothing is under way, time passes in larger steps.
            let tick = now + (queue.isEmpty ? .seconds(5) : .seconds(1))
            if let next, queue[next].at <= min(tick, end) {
                let (at, _, event) = queue.remove(at: next)
                now = max(now, at)
                happen(event)
            } else {
                now = min(tick, end)
                for who in phones.indices { on(who, .tick) }
            }
            connect()
        }
    }

    private mutating func happen(_ event: Event) {
        switch event {
        case .deliver(let who, let received):
            on(who, .received([received]))
            for key in phones[who].machine.ringingCalls where who > 0 {
                // The user takes a while to decide.
                schedule(.input(who, .accept(key)), in: .milliseconds(Int64(chance(4_000))))
            }
        case .describe(let who, let key, let request, let kind):
            guard media[who].call == key, media[who].making == request else { return }
            media[who].making = nil
            if kind == .offer {
                if media[who].signaling != .stable { violations.append("\(who) offers while \(media[who].signaling)") }
                media[who].signaling = .haveLocalOffer
                media[who].ownOffer = "\(who).\(request).\(key.call)"
            } else {
                if media[who].signaling != .haveRemoteOffer { violations.append("\(who) answers nothing") }
                media[who].signaling = .stable
                media[who].agreed = media[who].theirOffer
            }
            let name = kind == .offer ? media[who].ownOffer : media[who].theirOffer
            on(
                who,
                .media(
                    key,
                    .description(
                        request: request, SessionDescription(kind, sdp: name ?? "?"),
                        streams: ["s": StreamMetadata(.usermedia)])))
        case .input(let who, let input): on(who, input)
        case .wake: break
        }
    }

    mutating func on(_ who: Int, _ input: CallInput) {
        let wait = now - phones[who].now
        for action in phones[who].on(input, after: wait) { perform(action, of: who) }
    }

    private mutating func perform(_ action: CallAction, of who: Int) {
        switch action {
        case .send(let event, let room, _):
            log.append("\(now.components.seconds) \(who) sends \(event.type)")
            count += 1
            guard let id = try? EventID("$e\(count)") else { return }
            let received = ReceivedCallEvent(
                room: room, eventID: id, sender: phones[who].user, device: phones[who].device, standing: .verified,
                type: event.type, content: event.content, age: .zero)
            for other in phones.indices {
                guard Double.random(in: 0..<1, using: &generator) >= losing else {
                    log.append("  lost to \(other)")
                    continue
                }
                let copies = isReordering && chance(10) == 0 ? 2 : 1
                for _ in 0..<copies {
                    var delay = Duration.milliseconds(Int64(20 + chance(isReordering ? 3_000 : 300)))
                    if !isReordering { delay = max(delay, lastArrival[other] - now + .milliseconds(1)) }
                    lastArrival[other] = max(lastArrival[other], now + delay)
                    schedule(.deliver(to: other, received), in: delay)
                }
            }
        case .media(let key, let command): tell(command, about: key, to: who)
        case .report(let report):
            if case .ended(_, let end, _) = report { log.append("\(now.components.seconds) \(who) ended \(end)") }
        case .fetchICEServers, .remember: break
        }
    }

    private mutating func tell(_ command: MediaCommand, about key: CallKey, to who: Int) {
        log.append("\(now.components.seconds) \(who) media \(command)")
        let soon = Duration.milliseconds(Int64(chance(400)))
        switch command {
        case .start:
            media[who] = Media(call: key, isClosed: false)
        case .createOffer(let request, _):
            if media[who].signaling != .stable || media[who].making != nil {
                violations.append("\(who) is to offer while \(media[who].signaling)")
            }
            media[who].making = request
            schedule(.describe(who, key, request: request, .offer), in: soon)
        case .setRemote(let request, let description, _, let rollback, _):
            if description.kind == .offer {
                let isOffering =
                    media[who].signaling == .haveLocalOffer
                    || (media[who].signaling == .stable && media[who].making != nil)
                if isOffering, !rollback { violations.append("\(who) is given an offer while it offers") }
                media[who].signaling = .haveRemoteOffer
                media[who].theirOffer = description.sdp
                media[who].making = request
                schedule(.describe(who, key, request: request, .answer), in: soon)
            } else {
                guard media[who].signaling == .haveLocalOffer else {
                    violations.append("\(who) is given an answer while \(media[who].signaling)")
                    return
                }
                guard description.sdp == media[who].ownOffer else {
                    // As WebRTC does: this answer does not fit.
                    log.append("  \(who): an answer to another offer")
                    media[who].signaling = .stable
                    schedule(.input(who, .media(key, .failed)), in: .zero)
                    return
                }
                media[who].signaling = .stable
                media[who].agreed = description.sdp
            }
        case .rollback:
            media[who].signaling = .stable
            media[who].making = nil
        case .stop: media[who] = Media()
        case .addCandidates, .streams, .iceServers: break
        }
    }

    /// Media flows between two who are in one call and agreed; it stops when one has closed.
    private mutating func connect() {
        for who in phones.indices {
            guard let key = media[who].call, media[who].agreed != nil, !media[who].isClosed else { continue }
            let partner = phones.indices.first {
                $0 != who && media[$0].call == key && media[$0].agreed != nil && !media[$0].isClosed
                    && (who == 0 || $0 == 0) && isPartner(who, $0)
            }
            if partner != nil, !media[who].isConnected {
                media[who].isConnected = true
                on(who, .media(key, .connection(.connected)))
            } else if partner == nil, media[who].isConnected {
                media[who].isConnected = false
                on(who, .media(key, .connection(.disconnected)))
            }
        }
    }

    private func isPartner(_ one: Int, _ other: Int) -> Bool {
        let (caller, callee) = one == 0 ? (one, other) : (other, one)
        guard let chosen = phones[caller].machine.opponent else { return false }
        return chosen == phones[callee].machine.ownParty
    }

    // MARK: What is so

    var states: [String] {
        phones.map {
            "\($0.machine.activeCall?.call.text ?? "-") \($0.machine.isConnected) \($0.machine.ringingCalls.count)"
        }
    }

    /// Whether all ends of calls see the same.
    func agreement() -> String {
        let busy = phones.indices.filter { phones[$0].machine.activeCall != nil }
        guard phones.allSatisfy({ $0.machine.ringingCalls.isEmpty }) else { return "they disagree" }
        if busy.isEmpty { return "nobody talks" }
        guard busy.count == 2, busy[0] == 0, phones[0].machine.activeCall == phones[busy[1]].machine.activeCall,
            busy.allSatisfy({ phones[$0].machine.isConnected }),
            phones[0].machine.opponent == phones[busy[1]].machine.ownParty,
            phones[busy[1]].machine.opponent == phones[0].machine.ownParty
        else { return "they disagree" }
        return "alice and one of bob's talk"
    }

    var negotiationsAgree: Bool {
        let busy = phones.indices.filter { phones[$0].machine.activeCall != nil }
        return busy.allSatisfy { media[$0].signaling == .stable } && Set(busy.map { media[$0].agreed }).count == 1
    }
}
