/// Why a body could not be read to its end.
public enum HTTPBodyError: Error, Hashable, Sendable {
    /// The body is larger than the caller allows (as announced, or as received).
    case tooLarge
    /// The other side went away, or sent something that is not HTTP, before the body was complete.
    case disconnected
    /// The other side sent its body too slowly.
    case timedOut
}
