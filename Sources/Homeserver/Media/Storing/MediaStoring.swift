/// Where the bytes of media lie, each under the SHA-256 of them (hexadecimal): a folder, or a store elsewhere.
protocol MediaStoring: Sendable {
    /// Takes what has arrived under its hash. What lies there already is the same, and counts as kept now.
    func keep(_ file: IncomingFile, _ hash: String) async throws

    /// What lies under a hash; `nil` when nothing does.
    /// - Parameter length: its bytes, where that is known.
    func open(_ hash: String, length: Int64?) async throws -> StoredFile?

    /// The same as a file of this machine, for a program to read. At most `maximum` bytes: `nil` beyond them.
    func localFile(_ hash: String, maximum: Int64) async throws -> OpenedFile?

    /// The next hashes, in order, of what lies elsewhere than in a folder of this machine; none at the end. What there is
    /// beside media is left out.
    /// - Parameter digits: what the hashes begin with: two digits.
    func hashes(beginning digits: String, after: String?) async throws -> [String]

    /// Removes what lies under a hash, unless it was kept at or after a time (milliseconds since 1970), or somebody still
    /// wants it: who asked before the bytes are out of reach could be told yes by a row that comes after.
    func remove(
        _ hash: String, unlessKeptSince time: Int64, orWanted: @Sendable () async throws -> Bool
    ) async throws
}
