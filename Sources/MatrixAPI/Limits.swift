/// The limits of what the API takes in. Bytes unless said otherwise.
public enum APILimits {
    /// A JSON request body: room for the largest event, key uploads and filters.
    public static let jsonBodyBytes = 1 << 20
    /// A federation transaction: 50 PDUs and 100 EDUs of 65,536 bytes each, about.
    public static let transactionBytes = 12 << 20
    /// A path with its query.
    public static let pathBytes = 16 << 10
    /// Segments of a path.
    public static let pathSegments = 32
}
