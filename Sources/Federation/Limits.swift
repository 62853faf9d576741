public import MatrixModel

/// The limits of speaking to other servers.
public enum FederationLimits {
    /// A `.well-known` answer, bytes.
    public static let wellKnownBytes = 50 << 10
    /// How long asking for `.well-known` may take.
    public static let wellKnownTimeout = Duration.seconds(10)
    /// Redirects of `.well-known` that are followed.
    public static let wellKnownRedirects = 5
    /// Kept when the answer names no time, or names it wrongly. Spec: 24 hours.
    public static let wellKnownDefault = Duration.seconds(24 * 3600)
    /// Kept at most. Spec: 48 hours.
    public static let wellKnownMaximum = Duration.seconds(48 * 3600)
    /// An error is kept so long at first, doubling up to the next.
    public static let wellKnownErrorFirst = Duration.seconds(60)
    public static let wellKnownErrorMaximum = Duration.seconds(3600)
    /// Server names whose discovery is remembered.
    public static let discoveryEntries = 20_000
    /// SRV records read of one answer.
    public static let srvRecords = 16
    /// How long an answer to a question for SRV records is kept, seconds: at least and at most, whatever its time to live;
    /// and one that says there are none.
    public static let srvKeptLeast = 30
    public static let srvKeptMost = 86_400
    public static let srvNoneKept = 300
    /// Look-ups of SRV records at once, and how many may wait.
    public static let srvThreads = 4
    public static let srvWaiting = 1_000
    /// The `Authorization` header, bytes.
    public static let authorizationBytes = 4096
    /// Parameters of an `Authorization` header.
    public static let authorizationParameters = 16
    /// An answer's body, bytes, unless a call says otherwise: a `send_join` answer of a large room.
    public static let responseBytes = 256 << 20
    /// An error's body, bytes, where the answer itself is a stream.
    public static let errorBytes = 64 << 10
}

extension JSONLimits {
    /// For the answers of other servers, whose length is bounded while they are read.
    public static let federation = JSONLimits(maximumBytes: 256 << 20, maximumDepth: 110, maximumNodes: 16 << 20)
}
