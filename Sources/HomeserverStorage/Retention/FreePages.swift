public import SQLDatabase

/// The pages of SQLite's file that hold nothing. PostgreSQL's autovacuum sees to its own.
public struct FreePages {
    /// Pages given back in a step.
    static let perStep = 500
    /// Free pages that stay, to be written to next: as many, or this part of the file.
    static let kept: Int64 = 1_000
    static let keptPart: Int64 = 20

    private let connection: any SQLConnection

    /// The file as this transaction sees it.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Gives some pages back, where many are free. Returns whether there are more to give.
    /// - Throws: `DatabaseError`.
    public func giveBack() throws -> Bool {
        // 2: incremental. A file from before is so only after `VACUUM`.
        guard try number("auto_vacuum") == 2 else { return false }
        let (free, all) = (try number("freelist_count"), try number("page_count"))
        guard free > max(Self.kept, all / Self.keptPart) else { return false }
        _ = try connection.query("PRAGMA incremental_vacuum(\(raw: String(Self.perStep)))")
        return try number("freelist_count") < free
    }

    private func number(_ pragma: String) throws -> Int64 {
        try connection.query("PRAGMA \(raw: pragma)").first?.integer(0) ?? 0
    }
}
