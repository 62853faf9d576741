import Testing

/// Imports go down the rows of ARCHITECTURE.md, and each building block has one place that knows it.
@Suite("Layering") struct LayeringTests {
    /// A target's row, and the targets of ours it names; it may also import what those may.
    private static let targets: [String: (row: Int, mayImport: Set<String>)] = [
        "CSodium": (0, []), "CCrypt": (0, []), "COpenSSL": (0, []), "CCurl": (0, []), "CPostgres": (0, []),
        "CQREncode": (0, []), "CResolver": (0, []), "CConfinement": (0, []),
        "Cryptography": (0, []),
        "MatrixModel": (1, ["Cryptography"]),
        "HTTPMessages": (1, []),
        "Confinement": (1, []),
        "SQLDatabase": (1, []),
        "Ratchet": (1, ["Cryptography"]),
        "PostQuantum": (2, ["Ratchet"]),
        "MatrixRooms": (2, ["MatrixModel"]),
        "MatrixAPI": (2, ["MatrixModel", "HTTPMessages"]),
        "HTTPServer": (2, ["HTTPMessages"]),
        "HTTPClientCurl": (2, ["HTTPMessages"]),
        "SQLiteEngine": (2, ["SQLDatabase"]),
        "PostgresEngine": (2, ["SQLDatabase"]),
        "TerminalUI": (2, []),
        "Federation": (3, ["MatrixAPI"]),
        "HomeserverStorage": (3, ["MatrixRooms", "SQLDatabase"]),
        "ClientEncryption": (3, ["PostQuantum", "Ratchet", "MatrixAPI", "SQLDatabase"]),
        "FedchatTesting": (3, ["MatrixRooms"]),
        "Homeserver": (4, ["Federation", "HomeserverStorage", "MatrixRooms", "MatrixAPI", "Confinement"]),
        "FedchatKit": (4, ["ClientEncryption", "MatrixRooms", "MatrixAPI"]),
        "Simulation": (5, ["Homeserver", "FedchatKit", "FedchatTesting", "SQLiteEngine"]),
        "fedchatd": (6, ["Homeserver", "HTTPServer", "HTTPClientCurl", "SQLiteEngine", "PostgresEngine"]),
        "fedchat": (6, ["FedchatKit", "TerminalUI", "SQLiteEngine", "HTTPClientCurl"]),
        "fedchat-bench": (
            6,
            [
                "FedchatKit", "FedchatTesting", "Homeserver", "HTTPServer", "HTTPClientCurl", "SQLiteEngine",
                "PostgresEngine",
            ]
        ),
        "fedchat-simulate": (6, ["Simulation"]),
        "fedchat-ratchet-peer": (6, ["PostQuantum", "ClientEncryption"]),
    ]

    /// What a C module or a package is wrapped by: nobody else imports it.
    private static let owners: [(module: String, targets: Set<String>)] = [
        ("CSodium", ["Cryptography"]), ("CCrypt", ["Cryptography"]), ("COpenSSL", ["Cryptography"]),
        ("CCurl", ["HTTPClientCurl"]), ("CQREncode", ["fedchat"]),
        ("CConfinement", ["Confinement"]), ("CPostgres", ["PostgresEngine"]), ("CResolver", ["Federation"]),
        ("GRDB", ["SQLiteEngine"]), ("GRDBSQLite", ["SQLiteEngine"]),
        ("Hummingbird", ["HTTPServer"]), ("HummingbirdTLS", ["HTTPServer"]), ("HummingbirdCore", ["HTTPServer"]),
        ("NIOCore", ["HTTPServer"]), ("NIOPosix", ["HTTPServer"]), ("NIOSSL", ["HTTPServer"]),
        ("NIOHTTP1", ["HTTPServer"]), ("NIOHTTPTypes", ["HTTPServer"]), ("NIO", ["HTTPServer"]),
        ("ServiceLifecycle", ["HTTPServer", "fedchatd"]),
        ("Yams", ["fedchatd"]), ("Crypto", ["PostQuantum"]),
    ]

    private static let onlyByPrograms: Set<String> = [
        "HTTPServer", "HTTPClientCurl", "SQLiteEngine", "PostgresEngine", "TerminalUI",
    ]

    private struct Import {
        let module: String
        let isPublic: Bool
        let place: String
    }

    /// The imports of a file: `internal import struct X.Y` names `X`.
    private static func imports(of file: Repository.TextFile) -> [Import] {
        file.code.compactMap { number, line in
            guard line.contains("import ") else { return nil }
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard let position = words.firstIndex(of: "import") else { return nil }
            let before = words[..<position]
            let levels: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
            guard before.allSatisfy({ levels.contains($0) || $0.hasPrefix("@") }) else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
            guard let name = words[(position + 1)...].first(where: { !kinds.contains($0) }) else { return nil }
            let module = name.split(separator: ".").first.map(String.init) ?? String(name)
            return Import(module: module, isPublic: before.contains("public"), place: "\(file.path):\(number)")
        }
    }

    private static func allowed(_ target: String) -> Set<String> {
        var found: Set<String> = []
        var open = Array(targets[target]?.mayImport ?? [])
        while let next = open.popLast() {
            if found.insert(next).inserted { open += targets[next]?.mayImport ?? [] }
        }
        return found
    }

    @Test func `every folder of Sources is a target with a row`() {
        for file in Repository.sources {
            #expect(
                Self.targets[file.target] != nil, "\(file.path): give \(file.target) a row here and in ARCHITECTURE.md")
        }
    }

    @Test func `a target imports only the targets it may`() {
        for file in Repository.sources {
            let allowed = Self.allowed(file.target)
            for found in Self.imports(of: file) where Self.targets[found.module] != nil {
                guard !found.module.hasPrefix("C") || Self.owners.allSatisfy({ $0.module != found.module }) else {
                    continue
                }
                #expect(allowed.contains(found.module), "\(found.place): \(file.target) may not import \(found.module)")
            }
        }
    }

    @Test func `an import goes to a lower row`() {
        for file in Repository.sources {
            guard let row = Self.targets[file.target]?.row else { continue }
            for found in Self.imports(of: file) {
                guard let other = Self.targets[found.module]?.row, !found.module.hasPrefix("C") else { continue }
                #expect(other < row, "\(found.place): \(found.module) is in row \(other), \(file.target) in row \(row)")
            }
        }
    }

    @Test func `the rows of this test go down by themselves`() {
        for (name, target) in Self.targets {
            for other in target.mayImport {
                #expect((Self.targets[other]?.row ?? 9) < target.row, "\(name) names \(other)")
            }
        }
    }

    @Test func `only programs and the simulation pick an engine, a server or a client of HTTP`() {
        for file in Repository.sources where (Self.targets[file.target]?.row ?? 0) < 5 {
            for found in Self.imports(of: file) {
                #expect(!Self.onlyByPrograms.contains(found.module), "\(found.place): \(found.module)")
            }
        }
    }

    @Test func `each C module and each wrapped package is imported by its one target`() {
        for file in Repository.sources {
            for found in Self.imports(of: file) {
                guard let owner = Self.owners.first(where: { $0.module == found.module }) else { continue }
                #expect(owner.targets.contains(file.target), "\(found.place): \(found.module)")
                #expect(!found.isPublic, "\(found.place): the types of \(found.module) never leave \(file.target)")
            }
        }
    }

    @Test func `the server cannot decrypt`() {
        #expect(!Self.allowed("Homeserver").contains("Ratchet"))
        #expect(!Self.allowed("fedchatd").contains("Ratchet"))
    }
}
