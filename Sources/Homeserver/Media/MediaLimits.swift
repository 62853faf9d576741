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
    /// Read of an image to find its size.
    static let imageHeader = 256 << 10
    /// An image with more pixels is not made smaller.
    static let imagePixels = 64 << 20
    /// What the thumbnail program may take: address space in KiB, output in blocks of 512.
    static let thumbnailMemoryKiB = 2 << 20
    static let thumbnailOutputBlocks = 128 << 10
    /// What a program said on its error stream, for the log.
    static let errorText = 2 << 10
}
