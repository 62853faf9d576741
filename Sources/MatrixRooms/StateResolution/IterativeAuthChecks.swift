import MatrixModel

/// "Constructs a new room state by iterating through the event list and applying the state event to the room state if the
/// state event is allowed by the authorisation rules."
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#definitions>
struct IterativeAuthChecks<Graph: EventGraph> {
    let graph: Graph
    let rules: RoomVersionRules
    let create: PDU
    private(set) var state: StateMap

    init(graph: Graph, rules: RoomVersionRules, create: PDU, state: StateMap) {
        self.graph = graph
        self.rules = rules
        self.create = create
        self.state = state
    }

    mutating func apply(_ event: PDU) throws(ResolutionFailure) {
        guard let place = StateKey(of: event) else { return }
        let keys = Set(authEventKeys(for: event))
        var view = RoomState()
        // "If a key that is required for checking the authorisation rules is not present in the state, then the appropriate
        // state event from the event's auth_events is used if the auth event is not rejected."
        for id in event.authEvents where !graph.isRejected(id) {
            guard let authEvent = graph.event(id), let key = StateKey(of: authEvent), keys.contains(key) else {
                continue
            }
            view.events[key] = authEvent
        }
        for key in keys {
            if let id = state[key] { view.events[key] = try graph.required(id) }
        }
        do throws(Rejection) {
            try authorize(event, given: view, by: rules, create: create)
            state[place] = event.id
        } catch {
            // "If the state event is not allowed by the authorisation rules, then the event is ignored."
        }
    }
}
