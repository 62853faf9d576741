public import MatrixModel

/// What a ``CallSession`` brings out.
public enum CallOutput: Sendable {
    /// A line for the media program. The first is `start`; after `stop` nothing comes.
    case media(JSONValue)
    /// What the user is told; `changed` in it says that a device or an identity shows other keys than it did.
    case report(CallReport, JSONValue)
}
