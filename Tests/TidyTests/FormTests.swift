import Testing

/// The form of the code: what a reader should not have to remember.
@Suite("Form") struct FormTests {
    @Test func `a source file is short`() {
        for file in Repository.sources {
            #expect(file.lines.count <= 500, "\(file.path) has \(file.lines.count) lines")
        }
        for file in Repository.tests {
            #expect(file.lines.count <= 800, "\(file.path) has \(file.lines.count) lines")
        }
    }

    /// Words that say nothing about what a thing is, unless the specification uses them.
    @Test func `a type's name says what it is`() {
        let empty = [
            "Manager", "Helper", "Helpers", "Util", "Utils", "Utilities", "Service", "Info", "Data",
        ]
        let fromTheSpecification: Set<Substring> = ["AccountData"]
        let declaration = #/\b(?:class|struct|enum|actor|protocol|typealias)\s+([A-Za-z_][A-Za-z0-9_]*)/#
        let keywords = ["class ", "struct ", "enum ", "actor ", "protocol ", "typealias "]
        for file in Repository.sources {
            for (number, line) in file.code where keywords.contains(where: { line.contains($0) }) {
                for match in line.matches(of: declaration) {
                    let name = match.output.1
                    guard !fromTheSpecification.contains(name) else { continue }
                    for word in empty {
                        #expect(!name.hasSuffix(word), "\(file.path):\(number): \(name) ends in \(word)")
                    }
                }
            }
        }
    }

    @Test func `nothing in Sources traps on what it did not expect`() {
        for file in Repository.sources {
            for (number, line) in file.code where line.contains("!") {
                #expect(!line.contains(#/\btry!/#), "\(file.path):\(number): try!")
                #expect(!line.contains(#/\bas!/#), "\(file.path):\(number): as!")
            }
        }
    }

    /// An unstructured task escapes the seeded executor of the simulation.
    @Test func `concurrency is structured outside the HTTP targets and the programs`() {
        let free: Set<String> = ["HTTPServer", "HTTPClientCurl"]
        let unstructured =
            #/\bTask\s*(?:<[^>]*>\s*)?(?:\([^)]*\)\s*)?\{|\bTask\.detached\b|\bTask(?:<[^>]*>)?\.sleep\b/#
        for file in Repository.sources where !free.contains(file.target) && file.target.first?.isUppercase == true {
            // The one task that the simulation's executor starts, and runs.
            if file.path.hasSuffix("/SeededExecutor.swift") { continue }
            for (number, line) in file.code where line.contains("Task") {
                #expect(!line.contains(unstructured), "\(file.path):\(number): \(line.drop { $0 == " " })")
            }
        }
    }

    @Test func `the specification is cited by the one version we implement`() {
        let link = #/https?://(?:www\.)?spec\.matrix\.org[^\s<>()"'`\]|]*/#
        let wellFormed =
            #/https://spec\.matrix\.org/v1\.19/(?:…|(?:[a-z][a-z0-9-]*/)*(?:v[0-9]+/)?(?:#[A-Za-z0-9_.-]+)?)?[.,;:]?/#
        for file in Repository.everything where file.name != "FormTests.swift" {
            for (number, line) in file.lines.enumerated() where line.contains("spec.matrix.org") {
                for match in line.matches(of: link) {
                    #expect(
                        match.output.wholeMatch(of: wellFormed) != nil, "\(file.path):\(number + 1): \(match.output)")
                }
            }
        }
    }

    @Test func `nothing refers to one machine's folders`() {
        let foreign = ["../" + "shared", "/wo" + "rk/", "/tmp/" + "lab", "/fa" + "rm/"]
        for file in Repository.everything {
            for (number, line) in file.lines.enumerated() {
                for word in foreign {
                    #expect(!line.contains(word), "\(file.path):\(number + 1): \(word)")
                }
            }
        }
    }

    /// The fuzzing package, which the normal build never sees, is made of links to sources.
    @Test func `what is fuzzed is still where it was`() {
        let links = Repository.links(below: "Tests/Fuzz/Sources")
        #expect(links.count > 10)
        for link in links { #expect(Repository.exists(link), "\(link) leads nowhere") }
    }

    @Test func `no secret key is kept`() {
        let armor = "-----BEGIN " + #"[A-Z ]*PRIVATE KEY-----"#
        for file in Repository.everything where !file.path.hasPrefix("spec/vectors/") {
            #expect((try? Regex(armor))?.firstMatchIn(file.text) != true, "\(file.path)")
        }
        let kept = Repository.paths(below: "federation-keys")
        #expect(kept.contains("federation-keys/README.md"))
        #expect(kept.contains("federation-keys/.gitignore"))
    }
}

extension Regex where Output == AnyRegexOutput {
    func firstMatchIn(_ text: String) -> Bool { text.firstMatch(of: self) != nil }
}
