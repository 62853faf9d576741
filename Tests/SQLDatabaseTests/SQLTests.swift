import SQLDatabase
import Testing

@Suite("SQL") struct SQLTests {
    @Test func `an interpolated value is bound, not pasted`() {
        let name = "'; DROP TABLE users; --"

        let sql: SQL = "SELECT id FROM users WHERE name = \(name) AND age > \(7) AND old = \(true)"

        #expect(sql.text == "SELECT id FROM users WHERE name = $1 AND age > $2 AND old = $3")
        #expect(sql.values == [.text(name), .integer(7), .integer(1)])
    }

    @Test func `nil binds NULL and bytes bind bytes`() {
        let nothing: String? = nil
        let sql: SQL =
            "VALUES (\(nothing), \([1, 2] as [UInt8]), \(2.5), \(Int64.min), \([3][...] as ArraySlice<UInt8>))"

        #expect(sql.values == [.null, .bytes([1, 2]), .real(2.5), .integer(.min), .bytes([3])])
        #expect(sql.textWithNullsInline == "VALUES (NULL, $2, $3, $4, $5)")
    }

    @Test func `a list expands to binds, an empty one to NULL`() {
        let some: SQL = "SELECT 1 WHERE 2 IN \(list: [2, 3]) AND 'x' IN \(list: ["x"])"
        let none: SQL = "SELECT 1 WHERE 2 IN \(list: [Int]())"

        #expect(some.text == "SELECT 1 WHERE 2 IN ($1, $2) AND 'x' IN ($3)")
        #expect(none.text == "SELECT 1 WHERE 2 IN (NULL)")
    }

    @Test func `a raw fragment stays as it is`() {
        #expect(("CREATE TABLE t (b \(raw: Dialect.postgres.bytesType))" as SQL).text == "CREATE TABLE t (b BYTEA)")
    }

    @Test func `an enumeration binds its raw value`() {
        #expect(("\(Dialect.postgres)" as SQL).values == [.text("postgres")])
    }

    @Test func `statements appended and interpolated are renumbered`() {
        let many = (1...12).map { "é = \($0)" as SQL }.joined(separator: " OR ")
        let inner: SQL = "a = \("é") AND b = \(Int?.none)"

        let sum = "SELECT \(0) WHERE (\(inner)) AND " + many + (" AND z = \(inner)" as SQL)

        let clauses = (4...15).map { "é = $\($0)" }.joined(separator: " OR ")
        #expect(sum.text == "SELECT $1 WHERE (a = $2 AND b = $3) AND \(clauses) AND z = a = $16 AND b = $17")
        #expect(sum.values.count == 17)
        #expect(sum.textWithNullsInline.hasSuffix("z = a = $16 AND b = NULL"))
        #expect(sum.textWithNullsInline.contains("b = NULL) AND é = $4"))
    }

    @Test(arguments: [
        SQL(raw: "SELECT '\u{0}'"), "SELECT \("a\u{0}b")", "SELECT 1 IN \(list: 0...SQLLimits.maximumBinds)",
        SQL(raw: String(repeating: " ", count: SQLLimits.maximumTextBytes + 1)),
    ])
    func `what no engine takes is refused`(sql: SQL) {
        #expect(throws: DatabaseError.self) { try sql.validate() }
    }
}

@Suite("SQLRow") struct SQLRowTests {
    let row = SQLRow([.integer(5), .text("five"), .bytes([5]), .real(0.5), .null, .integer(1)])

    @Test func `columns are read by their type`() throws {
        #expect(try row.integer(0) == 5)
        #expect(try row.int(0) == 5)
        #expect(try row.text(1) == "five")
        #expect(try row.bytes(2) == [5])
        #expect(try row.double(3) == 0.5)
        #expect(try row.double(0) == 5)
        #expect(try row.bool(5))
        #expect(try row.optionalText(4) == nil)
        #expect(try row.optionalText(1) == "five")
        #expect(try row.optionalBytes(4) == nil)
        #expect(try row.optionalInteger(4) == nil)
        #expect(row.count == 6)
    }

    @Test func `a wrong type or column throws and never traps`() {
        #expect(throws: DatabaseError.self) { try row.text(0) }
        #expect(throws: DatabaseError.self) { try row.integer(1) }
        #expect(throws: DatabaseError.self) { try row.integer(4) }
        #expect(throws: DatabaseError.self) { try row.bytes(1) }
        #expect(throws: DatabaseError.self) { try row.bool(0) }
        #expect(throws: DatabaseError.self) { try row.value(6) }
        #expect(throws: DatabaseError.self) { try row.value(-1) }
    }

    @Test func `an error does not tell the value`() {
        let error = #expect(throws: DatabaseError.self) { try SQLRow([.text("hunter2")]).integer(0) }
        #expect(error?.description.contains("hunter2") == false)
    }
}
