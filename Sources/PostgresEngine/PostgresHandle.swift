private import CPostgres
internal import SQLDatabase

/// Opening a connection with libpq, for sessions and for the listener.
enum PostgresHandle {
    /// Connects and sets the session up. Blocks. The caller must call `PQfinish`.
    static func connect(_ configuration: PostgresConfiguration) throws(DatabaseError) -> OpaquePointer {
        // Its own message would quote the URL, with the password.
        guard let options = PQconninfoParse(configuration.url, nil) else {
            throw DatabaseError(.misuse, "the libpq URL is malformed")
        }
        PQconninfoFree(options)
        let seconds = max(2, configuration.connectTimeout.components.seconds)
        // What comes later counts, so the URL may change what stands before it.
        let settings = [
            ("connect_timeout", String(seconds)), ("keepalives_idle", "10"), ("keepalives_interval", "5"),
            ("keepalives_count", "3"), ("tcp_user_timeout", "30000"), ("dbname", configuration.url),
            ("client_encoding", "UTF8"), ("fallback_application_name", "fedchatd"),
        ]
        guard let handle = withCStrings(settings, { PQconnectdbParams($0, $1, 1) }) else {
            throw DatabaseError(.unavailable, "out of memory")
        }
        guard PQstatus(handle) == CONNECTION_OK else {
            defer { PQfinish(handle) }
            throw DatabaseError(.unavailable, "cannot connect to PostgreSQL: \(message(handle))")
        }
        // Notices would be printed.
        PQsetNoticeProcessor(handle, { _, _ in }, nil)
        let timeout = configuration.statementTimeout / .milliseconds(1)
        let setup = """
            SET statement_timeout = \(Int(timeout)); SET lock_timeout = '\(PostgresLimits.lockSeconds)s';
            SET idle_in_transaction_session_timeout = '\(PostgresLimits.idleInTransactionSeconds)s';
            SET standard_conforming_strings = on
            """
        do throws(DatabaseError) {
            try execute(setup, on: handle)
        } catch {
            PQfinish(handle)
            throw error
        }
        return handle
    }

    /// Runs trusted commands, outside pipeline mode.
    static func execute(_ commands: String, on handle: OpaquePointer) throws(DatabaseError) {
        let result = PQexec(handle, commands)
        defer { PQclear(result) }
        guard PQresultStatus(result) == PGRES_COMMAND_OK else {
            throw DatabaseError(.unavailable, "PostgreSQL refused: \(message(handle))")
        }
    }

    /// The last error of a connection, on one line.
    static func message(_ handle: OpaquePointer) -> String {
        guard let message = PQerrorMessage(handle) else { return "unknown error" }
        return String(cString: message).split(separator: "\n").joined(separator: " ")
    }

    private typealias Words = UnsafePointer<UnsafePointer<CChar>?>

    /// Calls `body` with the names and the values as arrays of C strings that end with a null.
    private static func withCStrings<R>(_ pairs: [(String, String)], _ body: (Words, Words) -> R?) -> R? {
        let names = pairs.map { Array($0.0.utf8CString) }
        let values = pairs.map { Array($0.1.utf8CString) }
        return withPointers(names[...], []) { names in
            withPointers(values[...], []) { values in
                names.withUnsafeBufferPointer { names in
                    values.withUnsafeBufferPointer { values in
                        guard let names = names.baseAddress, let values = values.baseAddress else { return nil }
                        return body(names, values)
                    }
                }
            }
        }
    }

    private static func withPointers<R>(
        _ strings: ArraySlice<[CChar]>, _ pointers: [UnsafePointer<CChar>?], _ body: ([UnsafePointer<CChar>?]) -> R
    ) -> R {
        guard let first = strings.first else { return body(pointers + [nil]) }
        return first.withUnsafeBufferPointer {
            withPointers(strings.dropFirst(), pointers + [$0.baseAddress], body)
        }
    }
}
