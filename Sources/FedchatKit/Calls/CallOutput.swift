public import MatrixModel

/// What a ``CallSession`` brings out.
public enum CallOutput: Sendable {
    /// A line for the media program. The first is `start`; after `stop` nothing comes.
    case media(JSONValue)
    /// What the user is told; `device` of a report that names one says whether it is `known`, `unknown` or `changed`.
    case report(CallReport, JSONValue)
}
