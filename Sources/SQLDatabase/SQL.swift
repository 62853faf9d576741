/// A statement and the values it binds. Write it as a string literal: what is interpolated is bound, never pasted.
///
/// ```swift
/// "SELECT canonical_json FROM events WHERE room_id = \(room) AND position > \(position)"
/// "DELETE FROM events WHERE event_id IN \(list: ids)"
/// "CREATE TABLE blobs (id BIGINT PRIMARY KEY, bytes \(raw: dialect.bytesType) NOT NULL)"
/// ```
///
/// Another `SQL` may be interpolated or appended with `+`; its placeholders are renumbered.
public struct SQL: Sendable, Hashable {
    /// The text, with a placeholder `$1`, `$2` … for each of `values`, in order.
    public private(set) var text = ""
    /// The values bound, the first at `$1`.
    public private(set) var values: [SQLValue] = []
    /// Where in the text's UTF-8 each placeholder begins.
    private var placeholders: [Int] = []

    /// The empty statement, to append to.
    public init() {}

    /// A trusted text without values. Never give it anything that came from outside.
    public init(raw text: String) {
        self.text = text
    }

    /// The text with the word `NULL` in place of the placeholders whose value is null. For PostgreSQL, which must know
    /// a placeholder's type and cannot always tell (`$1 IS NULL`). Equal to `text` where nothing is null.
    public var textWithNullsInline: String {
        guard values.contains(.null) else { return text }
        return rebuilt { number, value in value == .null ? "NULL" : "$\(number)" }
    }

    /// Appends another statement's text and values.
    public mutating func append(_ other: SQL) {
        let shift = values.count
        if shift > 0, !other.values.isEmpty {
            var renumbered = other
            renumbered.text = ""
            var starts: [Int] = []
            other.visit(
                text: { renumbered.text += $0 },
                placeholder: { number in
                    starts.append(renumbered.text.utf8.count)
                    renumbered.text += "$\(number + shift)"
                })
            renumbered.placeholders = starts
            appendAsIs(renumbered)
        } else {
            appendAsIs(other)
        }
    }

    /// One statement after the other, as one.
    public static func + (left: SQL, right: SQL) -> SQL {
        var sum = left
        sum.append(right)
        return sum
    }

    /// Appends another statement.
    public static func += (left: inout SQL, right: SQL) {
        left.append(right)
    }

    mutating func appendText(_ more: String) {
        text += more
    }

    mutating func bind(_ value: SQLValue) {
        placeholders.append(text.utf8.count)
        values.append(value)
        text += "$\(values.count)"
    }

    private mutating func appendAsIs(_ other: SQL) {
        let offset = text.utf8.count
        text += other.text
        values += other.values
        placeholders += other.placeholders.map { $0 + offset }
    }

    private func rebuilt(_ placeholder: (Int, SQLValue) -> String) -> String {
        var result = ""
        visit(text: { result += $0 }, placeholder: { result += placeholder($0, values[$0 - 1]) })
        return result
    }

    /// Walks over the text between placeholders and the placeholders' numbers, in order.
    private func visit(text onText: (Substring) -> Void, placeholder: (Int) -> Void) {
        var position = text.utf8.startIndex
        for (index, start) in placeholders.enumerated() {
            let mark = text.utf8.index(text.utf8.startIndex, offsetBy: start)
            onText(text[position..<mark])
            placeholder(index + 1)
            position = text.utf8.index(mark, offsetBy: 1 + String(index + 1).utf8.count)
        }
        onText(text[position...])
    }
}

extension SQL: ExpressibleByStringInterpolation {
    public init(stringLiteral text: String) {
        self.text = text
    }

    public init(stringInterpolation: StringInterpolation) {
        self = stringInterpolation.sql
    }

    /// Builds a statement out of a literal: see ``SQL``.
    public struct StringInterpolation: StringInterpolationProtocol {
        var sql = SQL()

        public init(literalCapacity: Int, interpolationCount: Int) {}

        public mutating func appendLiteral(_ literal: String) {
            sql.appendText(literal)
        }

        /// Binds a value.
        public mutating func appendInterpolation(_ value: some SQLBindable) {
            sql.bind(value.sqlValue)
        }

        /// Binds a value; `nil` binds `NULL`.
        public mutating func appendInterpolation<Value: SQLBindable>(_ value: Value?) {
            sql.bind(value?.sqlValue ?? .null)
        }

        /// Binds what a raw value says: for enumerations of `String` or `Int`.
        public mutating func appendInterpolation<Value: RawRepresentable>(_ value: Value)
        where Value.RawValue: SQLBindable {
            sql.bind(value.rawValue.sqlValue)
        }

        /// Inserts another statement, renumbered.
        public mutating func appendInterpolation(_ other: SQL) {
            sql.append(other)
        }

        /// Inserts a trusted fragment as it is: a type name, a table name of ours. Never anything from outside.
        public mutating func appendInterpolation(raw fragment: String) {
            sql.appendText(fragment)
        }

        /// Inserts `($1, $2 …)`, for `IN` or a row of `VALUES`. An empty list becomes `(NULL)`, so `IN` finds nothing;
        /// `NOT IN` finds nothing either, so leave such a clause out when the list is empty.
        public mutating func appendInterpolation(list values: some Sequence<some SQLBindable>) {
            sql.appendText("(")
            var isFirst = true
            for value in values {
                if !isFirst { sql.appendText(", ") }
                isFirst = false
                sql.bind(value.sqlValue)
            }
            sql.appendText(isFirst ? "NULL)" : ")")
        }
    }
}

extension Sequence where Element == SQL {
    /// All statements as one, with the separator between them: rows of `VALUES`, conditions joined by `AND`.
    public func joined(separator: SQL) -> SQL {
        var sum = SQL()
        var isFirst = true
        for element in self {
            if !isFirst { sum.append(separator) }
            isFirst = false
            sum.append(element)
        }
        return sum
    }
}

extension SQL {
    /// Whether an engine can take it.
    /// - Throws: `.misuse` for a text with U+0000 in it or bound, or for more than ``SQLLimits`` allow.
    public func validate() throws(DatabaseError) {
        guard values.count <= SQLLimits.maximumBinds else {
            throw DatabaseError(.misuse, "a statement binds \(values.count) values, over \(SQLLimits.maximumBinds)")
        }
        guard text.utf8.count <= SQLLimits.maximumTextBytes else {
            throw DatabaseError(.misuse, "a statement of \(text.utf8.count) bytes is too long")
        }
        guard !text.utf8.contains(0) else { throw DatabaseError(.misuse, "a statement contains U+0000") }
        for case .text(let value) in values where value.utf8.contains(0) {
            throw DatabaseError(.misuse, "a text contains U+0000")
        }
    }
}
