import ClientEncryption
import FedchatKit
import FedchatTesting
import MatrixModel
import Synchronization

/// A machine with its time and all that it wanted done.
struct TestPhone {
    static let room = { try? RoomID("!kitchen:a.test") }()

    let user: UserID
    let device: DeviceID
    var machine: CallMachine
    var now = Duration.zero
    private(set) var actions: [CallAction] = []
    private var count = 0

    init(_ user: String, _ device: String = "PHONE", seed: UInt64 = 1, known: Set<CallKey> = []) throws {
        self.user = try UserID(user)
        self.device = try DeviceID(device)
        machine = CallMachine(user: self.user, random: SeededRandomSource(seed: seed), known: known)
    }

    /// What an input leads to. ICE servers are there at once.
    @discardableResult
    mutating func on(_ input: CallInput, after wait: Duration = .zero) -> [CallAction] {
        now += wait
        var found = machine.on(input, at: now)
        if found.contains(.fetchICEServers) { found += machine.on(.iceServers([], life: nil), at: now) }
        actions += found
        return found
    }

    @discardableResult
    mutating func wait(_ time: Duration) -> [CallAction] { on(.tick, after: time) }

    /// A media program's word about the call in progress.
    @discardableResult
    mutating func media(_ event: MediaEvent, after wait: Duration = .zero) -> [CallAction] {
        guard let key = machine.activeCall else { return [] }
        return on(.media(key, event), after: wait)
    }

    /// The description that was asked for last.
    @discardableResult
    mutating func describes(_ kind: SessionDescription.Kind, _ sdp: String) -> [CallAction] {
        media(.description(request: actions.lastRequest, SessionDescription(kind, sdp: sdp), streams: nil))
    }

    mutating func hears(_ events: [ReceivedCallEvent], after wait: Duration = .zero) -> [CallAction] {
        on(.received(events), after: wait)
    }
}

/// An event as a room brings it.
func received(
    _ event: CallEvent, from user: String, device: String? = "PHONE", id: String? = nil, age: Duration = .zero,
    claimed: Duration? = nil, standing: SenderStanding? = .verified, changed: Bool = false,
    in room: String = "!kitchen:a.test"
) throws -> ReceivedCallEvent {
    ReceivedCallEvent(
        room: try RoomID(room), eventID: try EventID(id ?? "$\(SystemIDs.next())"), sender: try UserID(user),
        device: try device.map { try DeviceID($0) }, standing: standing, hasChanged: changed,
        type: event.type, content: event.content,
        age: age, claimedAge: claimed)
}

/// An event as a room brings it, from its content as others write it.
func raw(
    _ type: String, _ content: JSONValue, from user: String, device: String? = "PHONE", id: String? = nil,
    age: Duration = .zero
) throws -> ReceivedCallEvent {
    ReceivedCallEvent(
        room: try RoomID("!kitchen:a.test"), eventID: try EventID(id ?? "$\(SystemIDs.next())"),
        sender: try UserID(user), device: try device.map { try DeviceID($0) }, standing: .verified, type: type,
        content: content, age: age)
}

func invite(
    _ call: String, party: String = "CALLER", to invitee: String? = nil, lifetime: Int64 = 90_000, sdp: String = "offer"
) throws -> CallEvent {
    CallEvent(
        .invite(
            CallInvite(
                offer: SessionDescription(.offer, sdp: sdp), lifetimeMilliseconds: lifetime,
                invitee: try invitee.map { try UserID($0) }, streams: nil)),
        call: try CallID(call), party: try PartyID(party))
}

func event(_ body: CallEvent.Body, _ call: String, party: String) throws -> CallEvent {
    CallEvent(body, call: try CallID(call), party: try PartyID(party))
}

func answer(_ call: String, party: String = "CALLEE", sdp: String = "answer") throws -> CallEvent {
    try event(.answer(CallAnswer(answer: SessionDescription(.answer, sdp: sdp), streams: nil)), call, party: party)
}

func negotiate(
    _ kind: SessionDescription.Kind, _ sdp: String, _ call: String, party: String, lifetime: Int64 = 60_000
) throws -> CallEvent {
    try event(
        .negotiate(
            CallNegotiate(
                description: SessionDescription(kind, sdp: sdp), lifetimeMilliseconds: lifetime, streams: nil)),
        call, party: party)
}

func candidate(_ number: Int) throws -> ICECandidate {
    try ICECandidate(
        [
            "candidate": .string("candidate:\(number) 1 udp 1 192.0.2.1 9 typ host"), "sdpMid": "0", "sdpMLineIndex": 0,
        ] as JSONValue)
}

/// Names for events that need no particular one.
enum SystemIDs {
    private static let count = Mutex(0)

    static func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}

extension [CallAction] {
    var sent: [CallEvent] {
        compactMap { if case .send(let event, _, _) = $0 { event } else { nil } }
    }

    var sentTypes: [String] { sent.map { String($0.type.dropFirst("m.call.".count)) } }

    var commands: [MediaCommand] {
        compactMap { if case .media(_, let command) = $0 { command } else { nil } }
    }

    var reports: [CallReport] {
        compactMap { if case .report(let report) = $0 { report } else { nil } }
    }

    var notices: [CallNotice] {
        reports.compactMap { if case .notice(let notice, _, _, _, _) = $0 { notice } else { nil } }
    }

    /// `local user_hangup` and the like.
    var ends: [String] {
        reports.compactMap {
            if case .ended(_, let end, _) = $0 { "\(end.by.rawValue) \(end.reason.rawValue)" } else { nil }
        }
    }

    /// The number of the last request to the media program.
    var lastRequest: Int64 {
        commands.compactMap { command in
            switch command {
            case .createOffer(let request, _): request
            case .setRemote(let request, _, _, _, _): request
            default: nil
            }
        }.last ?? 0
    }

    /// What is told of descriptions, in short.
    var descriptions: [String] {
        commands.compactMap { command in
            switch command {
            case .createOffer(_, let holding): holding ? "make an offer on hold" : "make an offer"
            case .setRemote(_, let description, _, let rollback, _):
                "\(rollback ? "roll back, " : "")\(description.kind.rawValue) \(description.sdp)"
            case .rollback: "roll back"
            default: nil
            }
        }
    }
}
