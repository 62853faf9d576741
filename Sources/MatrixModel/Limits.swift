/// How large an event may be.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#size-limits>
public enum EventLimits {
    /// The canonical JSON of an event in the format of federation, with its signatures.
    public static let bytes = 65_536
    /// The same event as somebody may have sent it: escapes and blanks make it longer than its canonical form.
    public static let sentBytes = 8 * bytes
    /// A type, a state key, or an id, in bytes.
    public static let fieldBytes = 255
    /// Entries of `prev_events`.
    public static let prevEvents = 20
    /// Entries of `auth_events`.
    public static let authEvents = 10
}

/// How long a pattern may be.
public enum GlobLimits {
    /// Letters and wildcards of a pattern, runs of `*` counted once. No server name is longer than 255 bytes, so a longer
    /// pattern matches none; and matching takes at most this many steps for each letter of a text.
    public static let tokens = 512
}

/// What an event of a call may hold. Counts unless said otherwise; an event of ``EventLimits/bytes`` must hold it encrypted.
public enum CallContentLimits {
    /// Bytes of a session description's SDP.
    public static let sdpBytes = 32_768
    /// Bytes of a candidate, and of what it belongs to.
    public static let candidateBytes = 1_024
    /// Candidates in one event.
    public static let candidatesPerEvent = 128
    /// Streams of one side.
    public static let streams = 16
    /// Bytes of a stream's id.
    public static let streamIDBytes = 255
}
