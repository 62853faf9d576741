public import MatrixModel

/// Why states could not be merged. Never the fault of an event: an event that is not allowed is passed over.
public enum ResolutionFailure: Error, Hashable, Sendable {
    /// An event of the states or the auth difference was not gathered.
    case missingEvent(EventID)
    /// The states have no create event, so no event can be judged.
    case missingCreateEvent
    /// The states are not of one room: they have different create events.
    case differentCreateEvents
    /// More forks or conflicted events than the server takes on.
    case tooLarge
}
