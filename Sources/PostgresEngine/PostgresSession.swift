private import CPostgres
private import Glibc
internal import SQLDatabase

/// One session with the server, in pipeline mode. Blocks the thread that uses it; one thread at a time.
final class PostgresSession {
    /// What a command gave.
    struct Answer {
        var rows: [SQLRow] = []
        /// As `INSERT 0 1`.
        var tag = ""
        var changes = 0
    }

    /// Set once the session cannot be used further.
    private(set) var isEnded = false
    private let handle: OpaquePointer
    /// The names of prepared statements, by text and types.
    private var statements = StatementCache<String>(limit: SQLLimits.preparedStatements)
    private var lastName = 0
    /// Prepared statements the server can forget.
    private var forgotten: [String] = []

    init(_ configuration: PostgresConfiguration) throws(DatabaseError) {
        handle = try PostgresHandle.connect(configuration)
        guard PQenterPipelineMode(handle) == 1, PQsetnonblocking(handle, 1) == 0 else {
            PQfinish(handle)
            throw DatabaseError(.unavailable, "PostgreSQL's client library does not pipeline")
        }
    }

    deinit {
        PQfinish(handle)
    }

    /// Runs commands in order, in one round trip, and gives their answers. The first that fails ends it.
    /// - Parameter isFirst: whether no transaction is open yet.
    func run(_ commands: [SQL], isFirst: Bool) throws(PostgresFailure) -> [Answer] {
        var expected: [Step] = []
        if isFirst {
            for name in forgotten {
                try check(PQsendQueryParams(handle, "DEALLOCATE \(name)", 0, nil, nil, nil, nil, 1))
                expected.append(.deallocated)
            }
            forgotten = []
        }
        var prepared: [String: String] = [:]
        for (index, command) in commands.enumerated() {
            let text = command.textWithNullsInline
            let key = text + "\u{1}" + String(command.values.map(PostgresBinary.letter))
            let name: String
            if let known = statements.statement(key) ?? prepared[key] {
                name = known
            } else {
                lastName += 1
                name = "s\(lastName)"
                prepared[key] = name
                let types = command.values.map(PostgresBinary.type)
                try check(PQsendPrepare(handle, name, text, Int32(types.count), types))
                expected.append(.prepared(index, name, key))
            }
            try send(name, command.values)
            expected.append(.executed(index))
        }
        try check(PQpipelineSync(handle))
        try flush()
        return try receive(expected, count: commands.count)
    }

    private enum Step {
        case deallocated, prepared(Int, String, String), executed(Int)
    }

    private func send(_ name: String, _ values: [SQLValue]) throws(PostgresFailure) {
        var bytes: [UInt8] = []
        var starts: [Int] = []
        for value in values {
            starts.append(bytes.count)
            PostgresBinary.append(value, to: &bytes)
        }
        let lengths = zip(starts, starts.dropFirst() + [bytes.count]).map { Int32(truncatingIfNeeded: $1 - $0) }
        bytes.append(0)  // So that there is an address even if all are empty.
        let sent = bytes.withUnsafeBytes { buffer in
            let start = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
            let pointers = zip(values, starts).map { $0 == .null ? nil : start?.advanced(by: $1) }
            let formats = [Int32](repeating: 1, count: values.count)
            return PQsendQueryPrepared(handle, name, Int32(values.count), pointers, lengths, formats, 1)
        }
        try check(sent)
    }

    /// Writes all out, reading meanwhile, for the server stops reading while its answers are not read.
    private func flush() throws(PostgresFailure) {
        while true {
            switch PQflush(handle) {
            case 0: return
            case 1:
                var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN | POLLOUT), revents: 0)
                guard poll(&descriptor, 1, -1) >= 0 || errno == EINTR else { throw lost() }
                if descriptor.revents & Int16(POLLIN) != 0 { try check(PQconsumeInput(handle)) }
            default: throw lost()
            }
        }
    }

    private func receive(_ expected: [Step], count: Int) throws(PostgresFailure) -> [Answer] {
        var answers = [Answer](repeating: Answer(), count: count)
        var failure: PostgresFailure?
        var steps = expected.makeIterator()
        var emptyInARow = 0
        while true {
            guard let result = PQgetResult(handle) else {
                // One stands between two commands; two mean that nothing more will come.
                emptyInARow += 1
                if emptyInARow > 1 { throw lost() }
                continue
            }
            emptyInARow = 0
            defer { PQclear(result) }
            let status = PQresultStatus(result)
            if status == PGRES_PIPELINE_SYNC { break }
            let step = steps.next()
            switch status {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
                switch step {
                case .prepared(_, let name, let key): forgotten += statements.insert(name, for: key)
                case .executed(let index): answers[index] = Self.answer(result)
                case .deallocated, nil: break
                }
            case PGRES_PIPELINE_ABORTED: break
            default:
                guard failure == nil else { break }
                failure = Self.failure(result)
                switch step {
                case .prepared(let index, _, _), .executed(let index): failure?.index = index
                case .deallocated, nil: break
                }
            }
        }
        guard let failure else { return answers }
        if failure.endsSession { isEnded = true }
        throw failure
    }

    private static func failure(_ result: OpaquePointer) -> PostgresFailure {
        func field(_ code: UnicodeScalar) -> String? {
            PQresultErrorField(result, Int32(code.value)).map { String(cString: $0) }
        }
        guard let state = field("C") else {
            return PostgresFailure(lost: "the server closed it")
        }
        return PostgresFailure(state: state, message: field("M") ?? "refused")
    }

    private static func answer(_ result: OpaquePointer) -> Answer {
        var answer = Answer()
        answer.tag = PQcmdStatus(result).map { String(cString: $0) } ?? ""
        if !answer.tag.hasPrefix("SELECT") {
            answer.changes = PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0
        }
        let columns = PQnfields(result)
        let types = (0..<columns).map { PQftype(result, $0) }
        let count = PQntuples(result)
        answer.rows.reserveCapacity(Int(count))
        for row in 0..<count {
            var values: [SQLValue] = []
            values.reserveCapacity(Int(columns))
            for (column, type) in zip(0..<columns, types) {
                guard PQgetisnull(result, row, column) == 0, let start = PQgetvalue(result, row, column) else {
                    values.append(.null)
                    continue
                }
                let length = Int(PQgetlength(result, row, column))
                let value = start.withMemoryRebound(to: UInt8.self, capacity: length) {
                    PostgresBinary.value(UnsafeBufferPointer(start: $0, count: length), type: type)
                }
                values.append(value)
            }
            answer.rows.append(SQLRow(values))
        }
        return answer
    }

    private func check(_ success: Int32) throws(PostgresFailure) {
        if success == 0 { throw lost() }
    }

    private func lost() -> PostgresFailure {
        isEnded = true
        return PostgresFailure(lost: PostgresHandle.message(handle))
    }
}
