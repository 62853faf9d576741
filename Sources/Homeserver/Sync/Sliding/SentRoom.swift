internal import Cryptography
internal import HomeserverStorage
internal import MatrixModel

/// How far a client was sent something over a connection.
enum SentUpTo: Sendable, Hashable {
    case never
    /// Up to wherever the client stands.
    case now
    /// Up to a position of the stream: there was news since, which it did not want then.
    case position(Int64)

    /// The position, where the client stands at `token`; nil for never.
    func position(at token: Int64) -> Int64? {
        switch self {
        case .never: nil
        case .now: token
        case .position(let position): position
        }
    }

    /// What is left out now was sent up to `token`.
    mutating func miss(at token: Int64) { if self == .now { self = .position(token) } }

    fileprivate var json: JSONValue? {
        switch self {
        case .never: nil
        case .now: true
        case .position(let position): .integer(position)
        }
    }

    fileprivate init(_ json: JSONView?) {
        if let position = json?.integer { self = .position(position) } else { self = json == nil ? .never : .now }
    }
}

/// What a client was sent of a room over a connection.
struct SentRoom: Sendable, Hashable {
    /// Events and state.
    var events = SentUpTo.never
    var accountData = SentUpTo.never
    var receipts = SentUpTo.never
    /// How many of the newest events the client has at least; `wholeTimeline` for all.
    var timeline = 0
    /// The state that it was sent, as far as it wanted it.
    var state: StateRoot?
    /// The number of what it was sent of the state, among the connection's.
    var stateConfig = 0
    /// The numbers of membership events that were sent because they were of use, in order.
    var members: [Int64] = []
    var isDirect = false
    /// Whether all that was sent is an invite or knock.
    var isInvite = false

    static let wholeTimeline = Int.max

    init() {}

    /// Notes membership events as sent; of very many the newest are remembered.
    mutating func add(members nids: some Sequence<Int64>) {
        let all = Set(members).union(nids).sorted()
        members = Array(all.suffix(SyncLimits.membersRemembered))
    }

    // MARK: As it is stored

    var bytes: [UInt8] {
        JSONValue.fields([
            "e": events.json, "a": accountData.json, "r": receipts.json,
            "t": timeline == Self.wholeTimeline ? -1 : .integer(Int64(timeline)),
            "s": state.map { .string(Base64.encode($0.bytes)) }, "c": .integer(Int64(stateConfig)),
            "m": members.isEmpty ? nil : .array(members.map { .integer($0) }), "d": isDirect ? true : nil,
            "i": isInvite ? true : nil,
        ]).serialized()
    }

    init?(_ bytes: [UInt8]) {
        guard let json = (try? JSONDocument(bytes))?.root else { return nil }
        events = SentUpTo(json["e"])
        accountData = SentUpTo(json["a"])
        receipts = SentUpTo(json["r"])
        let count = json["t"]?.integer ?? 0
        timeline = count < 0 ? Self.wholeTimeline : Int(clamping: count)
        state = json["s"]?.string.flatMap { Base64.decode($0) }.flatMap { StateRoot($0) }
        stateConfig = Int(clamping: json["c"]?.integer ?? 0)
        members = (json["m"]?.elements ?? []).compactMap(\.integer)
        isDirect = json["d"] != nil
        isInvite = json["i"] != nil
    }

    /// About how many bytes it takes in memory.
    var cost: Int { 160 + members.count * 8 }
}
