/// The limits of this target.
public enum HTTPMessageLimits {
    /// Query items read from one request; those after it are ignored. No Matrix endpoint takes nearly as many.
    public static let maximumQueryItems = 1_000

    /// The size of a body, in bytes, where a caller does not say another one.
    public static let defaultMaximumBodyBytes = 16 * 1024 * 1024
}
