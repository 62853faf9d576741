internal import HomeserverStorage
internal import MatrixModel

/// What this server as a policy server does not recommend: the operator's `policy_server.*`.
struct PolicyRules: Sendable {
    /// The keys of contents under which people read what others wrote, at any depth: edits and other wrappings hold them too.
    private static let textKeys: Set<String> = [
        "body", "formatted_body", "name", "topic", "displayname", "reason", "m.text", "org.matrix.msc1767.text",
    ]

    private let servers: [Glob]
    private let users: [Glob]
    private let types: [Glob]
    private let largestBytes: Int64
    /// Refused words and phrases, their words with a blank between them.
    private let phrases: Set<String>
    /// How many words they have.
    private let lengths: [Int]

    init(_ settings: HomeserverConfiguration.PolicyServer) {
        servers = settings.refusedServers.compactMap { Glob($0) }
        users = settings.refusedUsers.compactMap { Glob($0) }
        types = settings.refusedEventTypes.compactMap { Glob($0) }
        largestBytes = settings.largestEventBytes
        let words = settings.refusedWords.map { SearchWords.of($0) }.filter { !$0.isEmpty }
        phrases = Set(words.map { $0.joined(separator: " ") })
        lengths = Set(words.map(\.count)).sorted()
    }

    /// Why an event is not recommended; nil where it is. What is told names no entry of a list: those are the operator's.
    func refusal(of event: PDU) -> String? {
        // Nobody is kept in a room.
        if Self.isLeaving(event) { return nil }
        let (host, user) = (Glob.Text(event.sender.serverName.host), Glob.Text(event.sender.text))
        if servers.contains(where: { $0.matches(host) }) || users.contains(where: { $0.matches(user) }) {
            return "The room's policy server takes no events of this sender"
        }
        let type = Glob.Text(event.type.text)
        if types.contains(where: { $0.matches(type) }) {
            return "The room's policy server takes no events of this type"
        }
        let bytes = event.canonicalJSON.count - (event.signatures?.rawBytes.count ?? 0)
        if bytes > largestBytes { return "The event is larger than the room's policy server takes" }
        if !phrases.isEmpty, holdsRefusedWords(event.content) {
            return "The room's policy server does not take what this says"
        }
        return nil
    }

    /// Whether an event counts against what one sender may send in a room: what anybody can send many of. What only
    /// moderators can do in earnest, bans and redactions among it, does not.
    static func isCounted(_ event: PDU) -> Bool {
        guard event.isState else { return event.type != .redaction }
        return isOwnMembership(event, .join)
    }

    private static func isLeaving(_ event: PDU) -> Bool { isOwnMembership(event, .leave) }

    private static func isOwnMembership(_ event: PDU, _ membership: Membership) -> Bool {
        event.type == .member && event.stateKey == event.sender.text
            && event.content["membership"]?.string == membership.rawValue
    }

    /// Looks through a content, whose depth the reading of JSON has bounded.
    private func holdsRefusedWords(_ view: JSONView) -> Bool {
        switch view.kind {
        case .object:
            return view.members.contains { key, value in
                if let text = value.string { return Self.textKeys.contains(key) && isRefused(text) }
                return holdsRefusedWords(value)
            }
        case .array: return view.elements.contains { holdsRefusedWords($0) }
        default: return false
        }
    }

    /// Takes as many steps as the text has words, however many are refused.
    private func isRefused(_ text: String) -> Bool {
        let words = SearchWords.of(text, limit: PolicyLimits.wordsPerText)
        return lengths.contains { length in
            guard length <= words.count else { return false }
            return (0...(words.count - length)).contains { start in
                phrases.contains(words[start..<(start + length)].joined(separator: " "))
            }
        }
    }
}
