import Testing

@Suite("Vectors") struct VectorTests {
    @Test func `each vector file is read by some test`() {
        let tests = Repository.tests.filter { $0.target != "TidyTests" }.map(\.text)
        for path in Repository.paths(below: "spec/vectors") {
            let parts = path.split(separator: "/").map(String.init)
            guard let name = parts.last, let folder = parts.dropLast().last else { continue }
            guard !name.hasSuffix(".md"), !name.hasPrefix("LICENSE") else { continue }
            let stem = name.split(separator: ".").dropLast().joined(separator: ".")
            let isRead = tests.contains { text in
                text.contains("\"\(name)\"") || text.contains("\"\(stem)\"") || text.contains("/\(name)\"")
                    || text.contains("/\(stem)\"") || (folder != "vectors" && text.contains("\"\(folder)\""))
            }
            #expect(isRead, "\(path)")
        }
    }

    @Test func `the vectors say where they come from`() {
        guard !Repository.paths(below: "spec/vectors").isEmpty else { return }
        #expect(Repository.exists("spec/vectors/PROVENANCE.md"))
    }
}
