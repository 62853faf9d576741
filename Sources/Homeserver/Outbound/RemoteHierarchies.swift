internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import Synchronization

/// Asks other servers for spaces that are not here. What they say is kept for a while, and so is that nobody knew.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#spaces>
final class RemoteHierarchies: Sendable {
    /// A space as another server tells it.
    struct Answer: Sendable {
        var room: SpaceRoom
        var children: [RoomID: RoomDescription]
        /// Children that our users cannot see, wherever they ask, so says the server.
        var inaccessible: Set<RoomID>
    }

    private struct Key: Hashable {
        var room: RoomID
        var suggestedOnly: Bool
    }

    private struct Kept: Sendable {
        var answer: Answer?
        var until: Duration
    }

    /// Bytes of an answer.
    private static let maximumBytes = 4 << 20
    private static let cacheBytes = 16 << 20
    private static let kept = Duration.seconds(300)
    private static let keptVain = Duration.seconds(60)
    private static let serversAsked = 3

    private let environment: Environment
    private let client: FederationClient
    private let answers = BoundedCache<Key, Kept>(budget: cacheBytes)
    private let flights = SingleFlight<Key, Answer?>()

    init(environment: Environment, client: FederationClient) {
        self.environment = environment
        self.client = client
    }

    /// A space and its children; nil when no server tells, or none in time.
    /// - Parameter deadline: monotonic.
    func hierarchy(
        of room: RoomID, suggestedOnly: Bool, via servers: [ServerName], until deadline: Duration
    ) async -> Answer? {
        guard environment.configuration.federation.isEnabled else { return nil }
        let key = Key(room: room, suggestedOnly: suggestedOnly)
        let now = environment.clock.monotonic()
        if let kept = answers.value(key), kept.until > now { return kept.answer }
        let answer = try? await flights.run(key) { await fetch(key, via: servers, until: deadline) }
        return answer ?? nil
    }

    private func fetch(_ key: Key, via servers: [ServerName], until deadline: Duration) async -> Answer? {
        for server in servers.filter({ $0 != environment.serverName }).prefix(Self.serversAsked) {
            let now = environment.clock.monotonic()
            let timeout = min(
                deadline - now, .milliseconds(environment.configuration.timeouts.federationRequest))
            guard timeout > .zero else { return nil }
            let call = APICall(
                .federationGetSpaceHierarchy, ["roomId": key.room.text],
                query: [("suggested_only", key.suggestedOnly ? "true" : "false")])
            guard
                let view = try? await client.json(call, at: server, timeout: timeout, maximumBytes: Self.maximumBytes),
                let answer = Self.read(view), answer.room.description.id == key.room
            else { continue }
            answers.put(
                key, Kept(answer: answer, until: now + Self.kept), cost: view.rawBytes.count * 2 + 1_024)
            return answer
        }
        answers.put(key, Kept(answer: nil, until: environment.clock.monotonic() + Self.keptVain), cost: 512)
        return nil
    }

    private static func read(_ view: JSONView) -> Answer? {
        guard let told = view["room"], let description = RoomDescription(told) else { return nil }
        let children = (told["children_state"]?.elements ?? []).prefix(RoomDescriptions.maximumChildren)
            .compactMap { SpaceChild($0) }.sorted(by: SpaceChild.precedes)
        var answer = Answer(
            room: SpaceRoom(description: description, children: children), children: [:], inaccessible: [])
        for child in (view["children"]?.elements ?? []).prefix(RoomDescriptions.maximumChildren) {
            if let room = RoomDescription(child) { answer.children[room.id] = room }
        }
        for id in (view["inaccessible_children"]?.elements ?? []).prefix(RoomDescriptions.maximumChildren) {
            if let room = id.string.flatMap({ try? RoomID($0) }) { answer.inaccessible.insert(room) }
        }
        return answer
    }
}
