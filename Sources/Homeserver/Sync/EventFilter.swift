internal import MatrixModel

/// Which events a client wants of one kind.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#filtering>
struct EventFilter: Sendable, Hashable {
    var limit: Int?
    var types: [TypePattern]?
    var notTypes: [TypePattern] = []
    var senders: Set<String>?
    var notSenders: Set<String> = []
    var rooms: Set<String>?
    var notRooms: Set<String> = []
    var containsURL: Bool?
    var lazyLoadsMembers = false
    var includesRedundantMembers = false
    var countsThreads = false
    /// Only events to which others relate so, or to which these users' do.
    var relatedByTypes: Set<String>?
    var relatedBySenders: Set<String>?
    /// How events relate to others. Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3874>
    var relationTypes: Set<String>?
    var notRelationTypes: Set<String> = []

    /// Lets everything through.
    static let all = EventFilter()

    init() {}

    /// Reads a filter; what is of the wrong kind is as if it were not there, for it was checked when it was defined.
    init(_ json: JSONView?) {
        guard let json else { return }
        limit = json["limit"]?.integer.flatMap { Int(exactly: $0) }.flatMap { $0 >= 0 ? $0 : nil }
        types = Self.strings(json["types"])?.map(TypePattern.init)
        notTypes = (Self.strings(json["not_types"]) ?? []).map(TypePattern.init)
        senders = Self.strings(json["senders"]).map { Set($0) }
        notSenders = Set(Self.strings(json["not_senders"]) ?? [])
        rooms = Self.strings(json["rooms"]).map { Set($0) }
        notRooms = Set(Self.strings(json["not_rooms"]) ?? [])
        containsURL = json["contains_url"]?.bool
        lazyLoadsMembers = json["lazy_load_members"]?.bool ?? false
        includesRedundantMembers = json["include_redundant_members"]?.bool ?? false
        countsThreads = json["unread_thread_notifications"]?.bool ?? false
        relatedByTypes = Self.strings(json["related_by_rel_types"]).map { Set($0) }
        relatedBySenders = Self.strings(json["related_by_senders"]).map { Set($0) }
        relationTypes = Self.strings(json["org.matrix.msc3874.rel_types"]).map { Set($0) }
        notRelationTypes = Set(Self.strings(json["org.matrix.msc3874.not_rel_types"]) ?? [])
    }

    private static func strings(_ json: JSONView?) -> [String]? {
        json?.array?.prefix(SyncLimits.filterEntries).compactMap(\.string)
    }

    /// Whether it says anything about single events.
    var isSelective: Bool {
        types != nil || !notTypes.isEmpty || senders != nil || !notSenders.isEmpty || containsURL != nil
            || relationTypes != nil || !notRelationTypes.isEmpty
    }

    func allows(room: RoomID) -> Bool {
        !notRooms.contains(room.text) && rooms.map { $0.contains(room.text) } ?? true
    }

    func allows(type: String) -> Bool {
        if notTypes.contains(where: { $0.matches(type) }) { return false }
        return types.map { $0.contains { $0.matches(type) } } ?? true
    }

    func allows(sender: String) -> Bool {
        !notSenders.contains(sender) && senders.map { $0.contains(sender) } ?? true
    }

    func allows(_ event: PDU) -> Bool {
        guard isSelective else { return true }
        guard allows(type: event.type.text), allows(sender: event.sender.text) else { return false }
        return allows(content: event.content) && allows(relationOf: event)
    }

    private func allows(relationOf event: PDU) -> Bool {
        guard relationTypes != nil || !notRelationTypes.isEmpty else { return true }
        let type = event.isState ? nil : Relation(event.content)?.type
        if let type, notRelationTypes.contains(type) { return false }
        return relationTypes.map { type.map($0.contains) ?? false } ?? true
    }

    func allows(content: JSONView) -> Bool { containsURL.map { $0 == (content["url"] != nil) } ?? true }
}

/// An event type in which `*` stands for any characters.
struct TypePattern: Sendable, Hashable {
    private let parts: [String]

    init(_ text: String) {
        parts = text.split(separator: "*", omittingEmptySubsequences: false).map(String.init)
    }

    func matches(_ type: String) -> Bool {
        guard let first = parts.first, let last = parts.last else { return false }
        guard parts.count > 1 else { return Array(type.utf8) == Array(first.utf8) }
        var rest = Array(type.utf8)[...]
        guard rest.starts(with: first.utf8) else { return false }
        rest = rest.dropFirst(first.utf8.count)
        for part in parts.dropFirst().dropLast() {
            guard let range = rest.firstRange(of: Array(part.utf8)) else { return false }
            rest = rest[range.upperBound...]
        }
        return rest.count >= last.utf8.count && rest.suffix(last.utf8.count).elementsEqual(last.utf8)
    }
}
