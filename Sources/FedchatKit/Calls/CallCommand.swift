public import MatrixModel

/// What whoever runs a ``CallSession`` tells it.
public enum CallCommand: Sendable {
    /// A line of the media program.
    case media(JSONValue)
    /// The media program has ended or cannot be understood.
    case mediaGone
    /// Take the call that rings.
    case accept
    /// Do not take the call that rings; it stops everywhere.
    case reject
    case hangUp
    case hold(Bool)

    /// Reads one; nil for what is none.
    public init?(_ value: JSONValue) {
        switch value["do"]?.string {
        case "media":
            guard let line = value["line"] else { return nil }
            self = .media(line)
        case "media_gone": self = .mediaGone
        case "accept": self = .accept
        case "reject": self = .reject
        case "hangup": self = .hangUp
        case "hold": self = .hold(true)
        case "resume": self = .hold(false)
        default: return nil
        }
    }
}
