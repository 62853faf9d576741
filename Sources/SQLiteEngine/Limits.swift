private import SQLDatabase

/// The limits of the SQLite engine.
public enum SQLiteLimits {
    /// Threads that read, unless configured.
    public static let readers = 4
    /// KiB of page cache of the writer.
    static let writerCacheKiB = 16_384
    /// KiB of page cache of each reader.
    static let readerCacheKiB = 8_192
    /// Bytes the write-ahead log is cut back to after a checkpoint.
    static let logBytes = 64 << 20
}
