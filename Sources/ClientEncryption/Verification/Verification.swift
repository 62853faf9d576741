public import Cryptography
public import MatrixModel
public import Ratchet

/// One verification with one other device, without a network: messages, what the user says and the time go in, messages
/// and what the user should see come out.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-verification-framework>
public struct Verification: Sendable {
    /// What happens.
    public enum Input: Sendable {
        /// A message of the other side: `m.key.verification.` and this, with its content.
        case message(String, JSONValue)
        /// Our user accepts the request.
        case accept
        /// Our user wants to compare emoji.
        case startSAS
        /// Our user says that the codes are the same, or not; or that the other side confirms its scan.
        case matches(Bool)
        /// Our user wants to show a code.
        case showQR
        /// Our user scanned a code.
        case scanned([UInt8])
        /// Our user gives up.
        case cancel
        /// It cannot go on, for a reason that its messages do not show.
        case fail(VerificationCancellation.Code)
        /// Time has passed.
        case tick
    }

    /// What is to be done.
    public enum Action: Sendable, Equatable {
        /// Send `m.key.verification.` and this to the other side.
        case send(String, JSONValue)
        /// The other side wants to verify; ask our user.
        case askToAccept
        /// Both are ready, with these methods in common.
        case ready([VerificationMethod])
        /// Show these, and ask whether the other side shows the same.
        case compare(SASCode)
        /// Show these bytes as a QR code.
        case showQR([UInt8])
        /// The other side says that it scanned the code: ask whether it shows success.
        case confirmScan
        /// These keys of the other side are right.
        case verified(VerifiedKeys)
        /// All is done.
        case done
        /// It is over without success.
        case cancelled(VerificationCancellation)
    }

    enum Phase: Sendable, Equatable {
        /// A request waits for an answer.
        case requested
        case ready
        case sas
        /// We scanned their code, and wait for them to confirm.
        case reciprocating
        /// They scanned our code; our user is asked.
        case scanned
        case done
        case cancelled
    }

    /// The id that all messages name.
    public let transaction: String
    /// Whether messages go through a room: then `transaction` is the id of the request's event.
    public let isInRoom: Bool
    /// This device.
    public let us: VerificationParty
    /// The other device.
    public let them: VerificationParty
    let weRequested: Bool
    var phase: Phase
    var common: Set<VerificationMethod> = []
    var sas: SASExchange?
    var qr: QRPayload?
    private let startedAt: Int64
    /// When a request to us that nobody has accepted is dropped.
    private let promptEnd: Int64
    let random: any RandomSource

    /// A verification that was requested, or whose request came, at `now` in milliseconds. `methods` are those that the
    /// other side named, if it has already; `requestedAt` is what its request says of the time.
    public init(
        transaction: String, isInRoom: Bool, us: VerificationParty, them: VerificationParty, weRequested: Bool,
        methods: [String] = [], random: any RandomSource, requestedAt: Int64? = nil, at now: Int64
    ) {
        self.transaction = transaction
        self.isInRoom = isInRoom
        self.us = us
        self.them = them
        self.weRequested = weRequested
        self.random = random
        startedAt = now
        promptEnd = min(
            now + Limits.promptMilliseconds, min(requestedAt ?? now, now) + Limits.verificationMilliseconds)
        phase = .requested
        if !weRequested { common = Self.common(methods) }
    }

    /// All methods that we name.
    public static let methods = VerificationMethod.allCases.map(\.rawValue)

    /// Whether it has ended, one way or the other.
    public var isOver: Bool { phase == .done || phase == .cancelled }

    /// Takes one step. `now` is in milliseconds.
    public mutating func on(_ input: Input, at now: Int64) -> [Action] {
        guard !isOver else { return [] }
        if phase == .requested, !weRequested, now >= promptEnd {
            // Nobody is told: it may be accepted on another device.
            return leave(.timeout)
        }
        guard now - startedAt < Limits.verificationMilliseconds else { return cancel(.timeout) }
        switch input {
        case .message(let type, let content): return take(type, content)
        case .accept: return accept()
        case .startSAS: return startSAS()
        case .matches(let isSame): return compared(isSame)
        case .showQR: return showQR()
        case .scanned(let bytes): return scanned(bytes)
        case .cancel: return cancel(.user)
        case .fail(let code): return cancel(code)
        case .tick: return []
        }
    }

    // MARK: Messages

    private mutating func take(_ type: String, _ content: JSONValue) -> [Action] {
        if type == "ready" || type == "start", let device = content["from_device"]?.string, device != them.device.text {
            // Another device of theirs, which was slower, or has not seen yet that this one was faster.
            return []
        }
        switch type {
        case "cancel":
            phase = .cancelled
            let code = String((content["code"]?.string ?? "m.unknown").prefix(64))
            return [.cancelled(VerificationCancellation(code: code, byUs: false))]
        case "request": return phase == .requested && !weRequested ? [.askToAccept] : cancel(.unexpectedMessage)
        case "ready": return takeReady(content)
        case "start": return takeStart(content)
        case "accept", "key", "mac":
            guard phase == .sas else { return cancel(.unexpectedMessage) }
            return takeSAS(type, content)
        case "done": return takeDone()
        default: return []
        }
    }

    private mutating func takeReady(_ content: JSONValue) -> [Action] {
        guard phase == .requested, weRequested else { return cancel(.unexpectedMessage) }
        guard let methods = content["methods"]?.array else { return cancel(.invalidMessage) }
        common = Self.common(methods.compactMap(\.string))
        guard !common.isEmpty else { return cancel(.unknownMethod) }
        phase = .ready
        return [.ready(common.sorted { $0.rawValue < $1.rawValue })]
    }

    private mutating func takeStart(_ content: JSONValue) -> [Action] {
        switch content["method"]?.string {
        case VerificationMethod.sas.rawValue: return takeSASStart(content)
        case VerificationMethod.reciprocate.rawValue: return takeReciprocation(content)
        case nil: return cancel(.invalidMessage)
        default: return cancel(.unknownMethod)
        }
    }

    private mutating func takeDone() -> [Action] {
        switch phase {
        case .reciprocating:
            phase = .done
            return [.send("done", content()), .done]
        case .scanned: return []
        // Their MAC convinced us, or our user has not compared yet: the one who is done does not wait.
        case .sas: return []
        default: return cancel(.unexpectedMessage)
        }
    }

    // MARK: What both methods need

    private mutating func accept() -> [Action] {
        guard phase == .requested, !weRequested else { return [] }
        // Another device of ours may have a method in common with theirs: the request is left as it is.
        guard !common.isEmpty else { return leave(.unknownMethod) }
        phase = .ready
        let methods = JSONValue.array(Self.methods.map { .string($0) })
        return [
            .send("ready", content(["from_device": .string(us.device.text), "methods": methods])),
            .ready(common.sorted { $0.rawValue < $1.rawValue }),
        ]
    }

    private mutating func compared(_ isSame: Bool) -> [Action] {
        switch phase {
        case .sas: return confirmSAS(isSame)
        case .scanned: return confirmScan(isSame)
        default: return []
        }
    }

    mutating func cancel(_ code: VerificationCancellation.Code) -> [Action] {
        phase = .cancelled
        return [
            .send("cancel", Self.cancellation(code, of: transaction, isInRoom: isInRoom)),
            .cancelled(VerificationCancellation(code: code.rawValue, byUs: true)),
        ]
    }

    /// Ends here, and nobody is told.
    private mutating func leave(_ code: VerificationCancellation.Code) -> [Action] {
        phase = .cancelled
        return [.cancelled(VerificationCancellation(code: code.rawValue, byUs: true))]
    }

    /// A content that names this verification.
    func content(_ fields: [String: JSONValue] = [:]) -> JSONValue {
        Self.content(fields, of: transaction, isInRoom: isInRoom)
    }

    /// A content that names the verification `transaction`.
    public static func content(_ fields: [String: JSONValue], of transaction: String, isInRoom: Bool) -> JSONValue {
        var content = JSONValue.object(fields)
        if isInRoom {
            content["m.relates_to"] = ["rel_type": "m.reference", "event_id": .string(transaction)]
        } else {
            content["transaction_id"] = .string(transaction)
        }
        return content
    }

    /// The content of `m.key.verification.cancel`.
    public static func cancellation(
        _ code: VerificationCancellation.Code, of transaction: String, isInRoom: Bool
    ) -> JSONValue {
        content(
            ["code": .string(code.rawValue), "reason": .string(code.reason)], of: transaction, isInRoom: isInRoom)
    }

    /// The methods that both can do, from our side.
    private static func common(_ theirs: [String]) -> Set<VerificationMethod> {
        let theirs = Set(theirs.compactMap { VerificationMethod(rawValue: $0) })
        var common: Set<VerificationMethod> = []
        if theirs.contains(.sas) { common.insert(.sas) }
        if theirs.contains(.reciprocate) {
            if theirs.contains(.scanQR) { common.insert(.showQR) }
            if theirs.contains(.showQR) { common.insert(.scanQR) }
        }
        return common
    }
}
