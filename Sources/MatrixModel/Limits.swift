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
