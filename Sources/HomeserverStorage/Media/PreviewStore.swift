public import SQLDatabase

/// Previews of links, for a while. They are content: sealed, and found by the hash of their URL.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url>
public struct PreviewStore {
    private let connection: any SQLConnection
    private let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        self.connection = connection
        self.sealer = sealer
    }

    /// A preview as it was fetched.
    public struct Preview: Sendable, Equatable {
        /// Milliseconds since 1970.
        public var fetched: Int64
        /// JSON.
        public var body: [UInt8]

        public init(fetched: Int64, body: [UInt8]) {
            self.fetched = fetched
            self.body = body
        }
    }

    /// The newest preview fetched at or before a time. One whose storage key is gone is none.
    public func preview(of addressHash: String, at time: Int64) throws -> Preview? {
        let row = try connection.query(
            """
            SELECT fetched, body FROM url_previews WHERE address_hash = \(addressHash) AND fetched <= \(time)
            ORDER BY fetched DESC LIMIT 1
            """
        ).first
        guard let row, let body = try? sealer.open(try row.bytes(1), context: Self.context(addressHash)) else {
            return nil
        }
        return Preview(fetched: try row.integer(0), body: body)
    }

    /// Keeps a preview, and no more than `maximum` in all: the oldest go.
    public func save(_ preview: Preview, of addressHash: String, maximum: Int) throws {
        let sealed = try sealer.seal(preview.body, context: Self.context(addressHash))
        try connection.execute(
            """
            INSERT INTO url_previews (address_hash, fetched, body) VALUES (\(addressHash), \(preview.fetched), \(sealed))
            ON CONFLICT (address_hash, fetched) DO UPDATE SET body = excluded.body
            """)
        let count = try connection.query("SELECT COUNT(*) FROM url_previews").first.map { try $0.int(0) } ?? 0
        guard count > maximum else { return }
        try connection.execute(
            """
            DELETE FROM url_previews WHERE fetched <= (
                SELECT MAX(t.fetched) FROM (
                    SELECT fetched FROM url_previews ORDER BY fetched LIMIT \(count - maximum)) t)
            """)
    }

    /// Drops previews fetched before a time.
    public func delete(before time: Int64) throws -> Int {
        try connection.execute("DELETE FROM url_previews WHERE fetched < \(time)")
    }

    private static func context(_ addressHash: String) -> String { "preview:\(addressHash)" }
}
