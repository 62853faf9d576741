public import MatrixModel

/// What is known of a file: whose it is and under which hash its bytes lie.
public struct MediaRecord: Sendable, Equatable {
    public var origin: ServerName
    public var mediaID: String
    /// As the uploader or the other server named it; not trusted.
    public var contentType: String?
    public var fileName: String?
    /// Bytes. `nil` until they have arrived, as is `contentHash`.
    public var length: Int64?
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    public var contentHash: String?
    /// The user's id; `nil` for another server's file, and for the picture of a preview.
    public var uploader: String?
    /// Milliseconds since 1970.
    public var created: Int64
    public var lastUsed: Int64
    /// Since when it is withheld from everybody; milliseconds since 1970.
    public var quarantined: Int64?
    /// When it goes by itself; milliseconds since 1970.
    public var expires: Int64?

    public init(
        origin: ServerName, mediaID: String, contentType: String? = nil, fileName: String? = nil, length: Int64? = nil,
        contentHash: String? = nil, uploader: String? = nil, created: Int64, lastUsed: Int64,
        quarantined: Int64? = nil, expires: Int64? = nil
    ) {
        self.origin = origin
        self.mediaID = mediaID
        self.contentType = contentType
        self.fileName = fileName
        self.length = length
        self.contentHash = contentHash
        self.uploader = uploader
        self.created = created
        self.lastUsed = lastUsed
        self.quarantined = quarantined
        self.expires = expires
    }
}
