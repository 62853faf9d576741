/// The limits of media. Bytes unless said otherwise.
enum MediaLimits {
    /// Threads that read and write files, and how many jobs wait for them.
    static let fileThreads = 4
    static let fileJobsWaiting = 10_000
    /// Read or written at once.
    static let chunk = 256 << 10
    /// A file name; longer ones are cut.
    static let fileName = 255
    static let contentType = 255
    static let mediaID = 255
    /// `last_used` is written when it is older, milliseconds.
    static let touchInterval: Int64 = 24 * 3_600_000
    /// A file that an interrupted upload left is removed when so old, seconds.
    static let leftoverSeconds = 24 * 3600

    static let remoteFetchesWaiting = 1_000
    /// A multipart answer beyond its file: two part headers, metadata, delimiters.
    static let multipartOverhead = 64 << 10
    static let multipartPreamble = 4 << 10
    static let multipartHeader = 8 << 10
    static let multipartHeaderLines = 32
    static let multipartMetadata = 32 << 10
    static let redirects = 3

    /// Thumbnails made at once, and how many wait.
    static let thumbnailThreads = 2
    static let thumbnailsWaiting = 200
    /// A larger file is not made a thumbnail of.
    static let thumbnailSource: Int64 = 256 << 20
    /// Read of an image to find its size.
    static let imageHeader = 256 << 10
    /// An image with more pixels, in all its frames, is not decoded.
    static let imagePixels = 64 << 20
    /// Of a moving image: a file with more bytes or frames gets a still thumbnail.
    static let animationBytes: Int64 = 32 << 20
    static let animationFrames = 500
    /// What the thumbnail program may take: address space and output.
    static let thumbnailMemory = 2 << 30
    static let thumbnailOutput = 64 << 20

    /// Deleted in one transaction of cleaning, and how many of these in one round.
    static let deletedAtOnce = 200
    static let deletingSteps = 100
    /// Bytes that no file has any more stay so long, milliseconds: whoever uploads the same in the meantime keeps them.
    static let unusedKept: Int64 = 3_600_000
    /// Folders of the first level looked through in one round, for bytes that no file has; 256 in all.
    static let foldersAtOnce = 4

    /// An S3-compatible store: more is uploaded in parts, and of at most so many.
    static let s3Part = 8 << 20
    static let s3Parts: Int64 = 9_000
    /// Read at once.
    static let s3Read = 4 << 20
    /// Uploads at once; each holds a part in memory.
    static let s3Uploads = 4
    static let s3Answer = 1 << 20
    /// Objects named by one answer to a list, and such answers looked through for a name that is a hash.
    static let s3Listed = 1_000
    static let s3PagesAtOnce = 100
    static let s3Attempts = 4
    static let s3Timeout = Duration.seconds(120)

    /// Previews of links: what is read of a page's text and tags, and what is told of it.
    static let previewRedirects = 5
    static let previewAddress = 2_048
    static let previewTags = 20_000
    static let previewText = 16 << 10
    static let previewValue = 1_000
    static let previewProperties = 64
    static let previewEmbed = 64 << 10
    static let previewsWaiting = 200
}
