import Testing

/// `spec/conformance.tsv` and the code say the same.
@Suite("Conformance table") struct ConformanceTests {
    private struct Row {
        let api: String, method: String, path: String, operation: String, state: String, test: String, note: String
        var key: String { Self.key(method, path) }

        /// Method and path, with the names of path parameters taken out.
        static func key(_ method: some StringProtocol, _ path: some StringProtocol) -> String {
            "\(method.uppercased()) \(String(path).replacing(#/\{[^}]*\}/#, with: "{}"))"
        }
    }

    private static let lines = (Repository.file("spec/conformance.tsv")?.lines ?? []).filter { !$0.isEmpty }

    private static let rows: [Row] = lines.dropFirst().compactMap { line in
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 7 else { return nil }
        return Row(
            api: fields[0], method: fields[1], path: fields[2], operation: fields[3], state: fields[4], test: fields[5],
            note: fields[6])
    }

    /// The routes that MatrixAPI declares: name in Swift to method and path.
    private static let routes: [String: String] = {
        let declaration =
            #/static let (\w+)(?:: Route)? = Route\(\s*"\w+",\s*\.(get|put|post|delete|options|head),\s*"([^"]+)"/#
        var found: [String: String] = [:]
        for file in Repository.sources where file.target == "MatrixAPI" {
            for match in file.text.matches(of: declaration) {
                found[String(match.output.1)] = Row.key(match.output.2, match.output.3)
            }
        }
        return found
    }()

    /// The routes that Homeserver answers: `router.on(.whoAmI)` and the like join each to its handler.
    private static let answered: Set<String> = {
        let joining = #/\.on[A-Za-z]*\(\s*\.(\w+)/#
        var found: Set<String> = []
        for file in Repository.sources where file.target == "Homeserver" {
            let lines = file.lines
            for (index, line) in lines.enumerated() where line.utf8.count < 200 && line.contains(".on") {
                let text = "\(line) \(index + 1 < lines.count ? lines[index + 1] : "")"
                if let match = text.firstMatch(of: joining), let key = routes[String(match.output.1)] {
                    found.insert(key)
                }
            }
        }
        return found
    }()

    @Test func `the table has its shape`() {
        #expect(Self.lines.first == "api\tmethod\tpath\toperationId\tstate\ttest\tnote")
        #expect(Self.rows.count == Self.lines.count - 1, "a row without seven fields")
        #expect(Self.rows.count >= 212, "rows are marked missing, never taken out")
        #expect(
            Set(Self.rows.map { "\($0.key) \($0.operation)" }).count == Self.rows.count, "an operation has two rows")
        for row in Self.rows {
            #expect(
                ["client-server", "server-server", "application-service", "push-gateway"].contains(row.api),
                "\(row.key)")
            #expect(["GET", "PUT", "POST", "DELETE"].contains(row.method), "\(row.key)")
            #expect(row.path.hasPrefix("/"), "\(row.key)")
            #expect(["done", "partial", "missing"].contains(row.state), "\(row.key)")
        }
    }

    @Test func `a row that claims something shows it`() {
        for row in Self.rows {
            if row.state == "done" { #expect(row.test != "-", "\(row.key): done, but no test shows it") }
            if row.state == "partial" { #expect(row.note != "-", "\(row.key): partial, but the note does not say why") }
            if row.test != "-" {
                for test in row.test.split(separator: ",") {
                    #expect(Repository.exists("Tests/\(test.drop { $0 == " " })"), "\(row.key): no file Tests/\(test)")
                }
            }
        }
    }

    @Test func `each declared route has its row`() throws {
        #expect(Self.routes.count > 100, "the routes of MatrixAPI are not written as this test reads them")
        let known = Set(Self.rows.map(\.key))
        for (name, key) in Self.routes {
            guard key.contains(" /_matrix/"), !key.contains("/unstable/") else { continue }
            #expect(known.contains(key), "\(name): \(key)")
        }
    }

    @Test func `a row says done or partial only where the server answers`() throws {
        for row in Self.rows where row.state != "missing" && ["client-server", "server-server"].contains(row.api) {
            #expect(
                Self.answered.contains(row.key), "\(row.key) is \(row.state), but Homeserver does not name its route")
        }
    }

    /// Two operations may share a path: then one of them may be missing.
    @Test func `what the server answers is not called missing`() {
        let claimed = Set(Self.rows.filter { $0.state != "missing" }.map(\.key))
        for row in Self.rows where Self.answered.contains(row.key) {
            #expect(claimed.contains(row.key), "\(row.key) is answered, but its row says missing")
        }
    }
}
