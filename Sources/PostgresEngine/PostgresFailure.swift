internal import SQLDatabase

/// A command that PostgreSQL refused, or that did not reach it.
struct PostgresFailure: Error {
    /// What the caller sees.
    let error: DatabaseError
    /// Whether the transaction may succeed when run again.
    let isConflict: Bool
    /// Whether the session cannot be used further.
    let endsSession: Bool
    /// Which of the commands run together it was.
    var index = 0

    /// - Parameters:
    ///   - state: the SQLSTATE of five characters: <https://www.postgresql.org/docs/15/errcodes-appendix.html>
    ///   - message: the primary message. Detail and context are left out, for they hold values.
    init(state: String, message: String) {
        isConflict = state == "40001" || state == "40P01"
        // 08P01 is other placeholders than values. A prepared statement that a migration or a proxy has spoiled is
        // prepared anew by a new session.
        endsSession =
            state.hasPrefix("57P0") || (state.hasPrefix("08") && state != "08P01") || state == "26000"
            || Self.isStalePlan(state, message)
        // Messages of class 22 quote the value they do not like.
        let text = state.hasPrefix("22") ? "a value does not fit its type" : message
        error = DatabaseError(Self.kind(state), "\(text) (SQLSTATE \(state))")
    }

    /// A connection that is gone.
    init(lost message: String) {
        isConflict = false
        endsSession = true
        error = DatabaseError(.unavailable, "the connection to PostgreSQL is lost: \(message)")
    }

    private static func isStalePlan(_ state: String, _ message: String) -> Bool {
        state == "0A000" && message.contains("cached plan")
    }

    private static func kind(_ state: String) -> DatabaseError.Kind {
        switch state {
        case "40001", "40P01", "55P03", "57014": .busy
        case "53100": .full
        case "XX001", "XX002": .corrupt
        case "08P01": .misuse
        default:
            switch state.prefix(2) {
            case "23": .constraint
            case "08", "53", "57", "58": .unavailable
            case "0A", "22", "25", "26", "42": .misuse
            default: .other
            }
        }
    }
}
