private import Foundation
private import GRDB
private import GRDBSQLite
internal import SQLDatabase

/// One connection to a file. GRDB opens, prepares and closes; values go in and out through SQLite's own functions.
///
/// To be used by one thread at a time.
final class SQLiteConnection: SQLConnection {
    let dialect = Dialect.sqlite
    /// What the transaction will notify once it has committed.
    private(set) var pendingNotifications: [String] = []
    /// Whether statements come from a closure: then none may run once SQLite has ended the transaction by itself.
    var isRunningClosure = false
    /// Whether it stands for one that was opened to read. `PRAGMA query_only` would have all statements prepared anew.
    var refusesWrites = false
    private let queue: DatabaseQueue
    private var database: GRDB.Database?
    private var statements = StatementCache<Statement>(limit: SQLLimits.preparedStatements)

    /// Opens the file, creating it (readable by its owner only) unless `isReader`.
    init(_ configuration: SQLiteConfiguration, isReader: Bool) throws(SQLDatabase.DatabaseError) {
        var options = Configuration()
        options.readonly = isReader
        options.busyMode = .timeout(configuration.busyTimeout / .seconds(1))
        options.allowsUnsafeTransactions = true
        do {
            switch configuration.location {
            case .memory:
                queue = try DatabaseQueue(configuration: options)
            case .file(let path):
                if !isReader {
                    options.journalMode = .wal
                    // Before the file has its first page: what is taken out later can be given back. An older file stays as
                    // it is until it is vacuumed.
                    options.prepareDatabase { try $0.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL") }
                    try Self.makePrivateFile(path)
                }
                queue = try DatabaseQueue(path: path, configuration: options)
            }
        } catch {
            throw Self.translated(error)
        }
        try access { () throws(SQLDatabase.DatabaseError) in
            try execute(
                "PRAGMA cache_size = -\(raw: String(isReader ? SQLiteLimits.readerCacheKiB : SQLiteLimits.writerCacheKiB))"
            )
            // An I/O error on a mapped page would end the process.
            _ = try query("PRAGMA mmap_size = 0")
            try execute("PRAGMA temp_store = MEMORY")
            guard !isReader else { return }
            _ = try query("PRAGMA journal_size_limit = \(raw: String(SQLiteLimits.logBytes))")
            try execute("PRAGMA synchronous = \(raw: configuration.durability.rawValue.uppercased())")
        }
    }

    /// Finalizes the statements and closes the file.
    func close() {
        queue.writeWithoutTransaction { _ in statements.removeAll() }
        try? queue.close()
    }

    /// Lets `body` use the connection. Everything else but `close` is called inside it.
    func access<R, Failure: Error>(_ body: () throws(Failure) -> R) throws(Failure) -> R {
        let result: Result<R, Failure> = queue.writeWithoutTransaction { database in
            self.database = database
            defer { self.database = nil }
            do throws(Failure) {
                return .success(try body())
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Whether a transaction is open. SQLite ends one by itself upon some errors.
    var isInTransaction: Bool {
        guard let handle = database?.sqliteConnection else { return false }
        return sqlite3_get_autocommit(handle) == 0
    }

    /// Cuts the notifications back to the first `count`, and gives the rest.
    @discardableResult
    func takeNotifications(after count: Int = 0) -> [String] {
        let taken = Array(pendingNotifications.dropFirst(count))
        pendingNotifications.removeLast(taken.count)
        return taken
    }

    func query(_ sql: SQLDatabase.SQL) throws(SQLDatabase.DatabaseError) -> [SQLRow] {
        var rows: [SQLRow] = []
        try run(sql) { row throws(SQLDatabase.DatabaseError) in
            guard rows.count < SQLLimits.maximumRows else {
                throw SQLDatabase.DatabaseError(.misuse, "a statement gives over \(SQLLimits.maximumRows) rows")
            }
            rows.append(row)
        }
        return rows
    }

    @discardableResult
    func execute(_ sql: SQLDatabase.SQL) throws(SQLDatabase.DatabaseError) -> Int {
        guard let handle = database?.sqliteConnection else { throw Self.outside }
        let before = sqlite3_total_changes(handle)
        try run(sql) { _ throws(SQLDatabase.DatabaseError) in }
        // `changes` keeps its value over statements that change no rows.
        return sqlite3_total_changes(handle) == before ? 0 : Int(sqlite3_changes(handle))
    }

    @discardableResult
    func executeAll(_ statements: [SQLDatabase.SQL]) throws(SQLDatabase.DatabaseError) -> [[SQLRow]] {
        var all: [[SQLRow]] = []
        all.reserveCapacity(statements.count)
        for statement in statements { all.append(try query(statement)) }
        return all
    }

    func notify(_ payload: String) throws(SQLDatabase.DatabaseError) {
        guard payload.utf8.count <= SQLLimits.maximumNotificationBytes, !payload.utf8.contains(0) else {
            throw SQLDatabase.DatabaseError(.misuse, "a notification is too long, or contains U+0000")
        }
        pendingNotifications.append(payload)
    }

    // MARK: Statements

    private static let outside = SQLDatabase.DatabaseError(.misuse, "a connection used after its closure has ended")

    private func run(
        _ sql: SQLDatabase.SQL, _ onRow: (SQLRow) throws(SQLDatabase.DatabaseError) -> Void
    ) throws(SQLDatabase.DatabaseError) {
        try sql.validate()
        guard !isRunningClosure || isInTransaction else {
            throw SQLDatabase.DatabaseError(.other, "SQLite has ended the transaction upon an earlier error")
        }
        let statement = try prepared(sql.text).sqliteStatement
        guard !refusesWrites || sqlite3_stmt_readonly(statement) != 0 else {
            throw SQLDatabase.DatabaseError(.misuse, "a statement that writes, in a read")
        }
        defer {
            sqlite3_reset(statement)
            sqlite3_clear_bindings(statement)
        }
        guard Int(sqlite3_bind_parameter_count(statement)) == sql.values.count else {
            throw SQLDatabase.DatabaseError(.misuse, "a statement with other placeholders than its bound values")
        }
        var position: Int32 = 0
        for value in sql.values {
            position += 1
            try bind(value, to: statement, at: position)
        }
        while true {
            switch sqlite3_step(statement) {
            case SQLITE_ROW: try onRow(row(of: statement))
            case SQLITE_DONE: return
            default: throw lastError()
            }
        }
    }

    private func prepared(_ text: String) throws(SQLDatabase.DatabaseError) -> Statement {
        if let statement = statements.statement(text) { return statement }
        guard let database else { throw Self.outside }
        do {
            let statement = try database.makeStatement(sql: text)
            _ = statements.insert(statement, for: text)
            return statement
        } catch {
            throw Self.translated(error)
        }
    }

    private func bind(
        _ value: SQLValue, to statement: OpaquePointer, at position: Int32
    ) throws(SQLDatabase.DatabaseError) {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code: Int32
        switch value {
        case .null: code = sqlite3_bind_null(statement, position)
        case .integer(let value): code = sqlite3_bind_int64(statement, position, value)
        case .real(let value): code = sqlite3_bind_double(statement, position, value)
        case .text(var value):
            code = value.withUTF8 { utf8 in
                utf8.withMemoryRebound(to: CChar.self) { characters in
                    guard let start = characters.baseAddress else {
                        return sqlite3_bind_text(statement, position, "", 0, transient)
                    }
                    return sqlite3_bind_text64(
                        statement, position, start, UInt64(characters.count), transient, UInt8(SQLITE_UTF8))
                }
            }
        case .bytes(let value):
            code =
                value.isEmpty
                ? sqlite3_bind_zeroblob(statement, position, 0)
                : sqlite3_bind_blob64(statement, position, value, UInt64(value.count), transient)
        }
        guard code == SQLITE_OK else { throw lastError() }
    }

    private func row(of statement: OpaquePointer) -> SQLRow {
        let count = sqlite3_column_count(statement)
        var values: [SQLValue] = []
        values.reserveCapacity(Int(count))
        for column in 0..<count {
            switch sqlite3_column_type(statement, column) {
            case SQLITE_INTEGER: values.append(.integer(sqlite3_column_int64(statement, column)))
            case SQLITE_FLOAT: values.append(.real(sqlite3_column_double(statement, column)))
            case SQLITE_TEXT:
                let start = sqlite3_column_text(statement, column)
                let bytes = UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
                values.append(.text(String(decoding: bytes, as: UTF8.self)))
            case SQLITE_BLOB:
                let start = sqlite3_column_blob(statement, column)
                let bytes = UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column)))
                values.append(.bytes(Array(bytes)))
            default: values.append(.null)
            }
        }
        return SQLRow(values)
    }

    // MARK: Errors

    private func lastError() -> SQLDatabase.DatabaseError {
        guard let handle = database?.sqliteConnection else { return Self.outside }
        return Self.error(
            sqlite3_extended_errcode(handle), String(cString: sqlite3_errmsg(handle)), sqlite3_system_errno(handle))
    }

    private static func translated(_ error: any Error) -> SQLDatabase.DatabaseError {
        switch error {
        case let error as SQLDatabase.DatabaseError: error
        case let error as GRDB.DatabaseError:
            self.error(error.extendedResultCode.rawValue, error.message ?? "unknown error", 0)
        default: SQLDatabase.DatabaseError(.other, "cannot open the database")
        }
    }

    private static func error(_ code: Int32, _ message: String, _ systemError: Int32) -> SQLDatabase.DatabaseError {
        let kind: SQLDatabase.DatabaseError.Kind =
            switch code & 0xff {
            case SQLITE_FULL: .full
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_CONSTRAINT: .constraint
            case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
            case SQLITE_IOERR, SQLITE_CANTOPEN: [ENOSPC, EDQUOT].contains(systemError) ? .full : .unavailable
            case SQLITE_NOMEM, SQLITE_INTERRUPT, SQLITE_PROTOCOL, SQLITE_PERM: .unavailable
            case SQLITE_READONLY, SQLITE_ERROR, SQLITE_MISUSE, SQLITE_RANGE, SQLITE_TOOBIG, SQLITE_MISMATCH: .misuse
            default: .other
            }
        return SQLDatabase.DatabaseError(kind, "\(message) (SQLite \(code))")
    }

    private static func makePrivateFile(_ path: String) throws(SQLDatabase.DatabaseError) {
        guard !path.hasPrefix(SimulatedVFS.root) else { return }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let kind: SQLDatabase.DatabaseError.Kind = errno == ENOSPC ? .full : .unavailable
            throw SQLDatabase.DatabaseError(kind, "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        Glibc.close(descriptor)
    }
}
