internal import ClientEncryption
internal import MatrixModel

/// What a process knows of verifications: which are under way, which are over, which requests wait for somebody to look,
/// and what messages are to be refused.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#error-and-exception-handling>
struct VerificationLedger: Sendable {
    /// A message that is to be answered by a cancellation.
    struct Refusal: Sendable, Equatable {
        let user: UserID
        /// nil where the message does not say which device of theirs it came from.
        let device: DeviceID?
        let transaction: String
        let code: VerificationCancellation.Code
    }

    private struct Waiting: Sendable {
        let receivedAt: Int64
        let transaction: String
        let message: VerificationMessage
    }

    /// By transaction.
    private(set) var open: [String: OpenVerification] = [:]
    private var closed = BoundedSet<String>(limit: ClientLimits.closedVerifications)
    /// Newest last.
    private var waiting: [Waiting] = []
    private(set) var refusals: [Refusal] = []
    /// Those that were under way when the process before this one ended, and are not cancelled yet.
    var interrupted: [OpenVerification] = []
    /// Those that were cancelled for this reason, of which nobody has been told.
    var untold: [OpenVerification] = []

    /// What the store has.
    init(stored: JSONValue? = nil) {
        interrupted = Self.read(stored?["open"])
        untold = Self.read(stored?["untold"])
    }

    private static func read(_ list: JSONValue?) -> [OpenVerification] {
        Array((list?.elements ?? []).compactMap(OpenVerification.init).prefix(ClientLimits.openVerifications))
    }

    /// For the store; nil where there is nothing to remember.
    var stored: JSONValue? {
        let open = self.open.values.sorted { $0.transaction < $1.transaction } + interrupted
        guard !open.isEmpty || !untold.isEmpty else { return nil }
        return ["open": .array(open.map(\.json)), "untold": .array(untold.map(\.json))]
    }

    // MARK: Those of this process

    /// Begins one, unless it is known already: two sessions do not take the same request. Throws `usage` where there are
    /// too many.
    mutating func begin(_ verification: OpenVerification) throws(ClientError) -> Bool {
        let id = verification.transaction
        guard open[id] == nil, !closed.contains(id) else { return false }
        guard open.count < ClientLimits.openVerifications else {
            throw .usage("too many verifications are under way")
        }
        open[id] = verification
        waiting.removeAll { $0.transaction == id }
        return true
    }

    /// This device takes part.
    mutating func meet(_ device: DeviceID, in transaction: String) {
        open[transaction]?.devices = [device]
        open[transaction]?.isMet = true
    }

    /// It is over, or will not be taken: its late messages are no more answered.
    mutating func close(_ transaction: String) {
        open[transaction] = nil
        waiting.removeAll { $0.transaction == transaction }
        closed.insert(transaction)
    }

    /// Requests of the last ten minutes that wait for an answer.
    func requests(at now: Int64) -> [VerificationMessage] {
        waiting.filter { now - $0.receivedAt < ClientLimits.verificationMilliseconds }.map(\.message)
    }

    // MARK: What comes

    /// Takes in a message to this device. What belongs to a session reaches it otherwise.
    mutating func take(_ message: VerificationMessage, at now: Int64) {
        guard let id = message.content["transaction_id"]?.string, id.utf8.count <= 255 else { return }
        let request = waiting.first { $0.transaction == id }
        if let owner = open[id]?.user ?? request?.message.sender, owner != message.sender {
            if message.type != "cancel" { refuse(message, id, .userMismatch) }
            return
        }
        guard open[id] == nil, !closed.contains(id) else { return }
        switch message.type {
        case "request", "start":
            guard !waiting.contains(where: { $0.transaction == id && $0.message.type == message.type }) else { return }
            waiting.append(Waiting(receivedAt: now, transaction: id, message: message))
            waiting.removeFirst(max(0, waiting.count - ClientLimits.verificationMessages))
            refuseRepeatedAttempts(message, id, at: now)
        case "cancel":
            if request != nil { close(id) }
        default:
            // Of a request that nobody has answered yet, it is out of its turn.
            refuse(message, id, request == nil ? .unknownTransaction : .unexpectedMessage)
            close(id)
        }
    }

    /// A device that tries more than once at the same time is refused altogether; the session of an attempt under way ends
    /// it by itself. While we verify with a device that we have asked, it need not ask.
    private mutating func refuseRepeatedAttempts(_ message: VerificationMessage, _ id: String, at now: Int64) {
        guard let device = message.device else { return }
        let earlier = waiting.filter {
            $0.transaction != id && $0.message.sender == message.sender && $0.message.device == device
                && now - $0.receivedAt < ClientLimits.verificationMilliseconds
        }
        let isUnderWay = open.values.contains {
            $0.user == message.sender && $0.room == nil && $0.isMet && $0.devices == [device]
        }
        guard !earlier.isEmpty || isUnderWay else { return }
        for attempt in earlier {
            refuse(attempt.message, attempt.transaction, .unexpectedMessage)
            close(attempt.transaction)
        }
        refuse(message, id, .unexpectedMessage)
        close(id)
    }

    private mutating func refuse(
        _ message: VerificationMessage, _ transaction: String, _ code: VerificationCancellation.Code
    ) {
        guard refusals.count < ClientLimits.verificationRefusals else { return }
        refusals.append(
            Refusal(user: message.sender, device: message.device, transaction: transaction, code: code))
    }

    /// Gives the refusals to be sent.
    mutating func takeRefusals() -> [Refusal] {
        defer { refusals = [] }
        return refusals
    }
}

extension VerificationMessage {
    /// The device that it says it comes from.
    var device: DeviceID? { content["from_device"]?.string.flatMap { try? DeviceID($0) } }
}
