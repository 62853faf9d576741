import Foundation

/// The files of this project, read from where this file was compiled.
enum Repository {
    static let root = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent()
        .deletingLastPathComponent()

    /// One text file: its path from the root, and its lines.
    struct TextFile: Sendable, CustomTestStringConvertibleByPath {
        let path: String
        let text: String

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        /// `Sources/MatrixModel/…` lies in `MatrixModel`.
        var target: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
        var name: String { path.split(separator: "/").last.map(String.init) ?? "" }
        /// The lines with their numbers, without those that are comments only.
        var code: [(number: Int, line: Substring)] {
            lines.enumerated().compactMap { index, line in
                line.drop { $0 == " " }.hasPrefix("//") ? nil : (index + 1, line)
            }
        }
    }

    static let sources = files(below: "Sources", endings: ["swift"])
    static let tests = files(below: "Tests", endings: ["swift", "py"])

    /// All text of the project that people read or machines run, without what builds and runs leave behind.
    static let everything: [TextFile] =
        ["Sources", "Tests", "script", "spec", ".ci", "federation-keys"].flatMap { files(below: $0, endings: nil) }
        + topLevel

    private static let topLevel: [TextFile] = [
        "Package.swift", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "Dockerfile",
        "docker-compose.yml", ".gitignore", ".swift-format",
    ].compactMap(file)

    static func file(_ path: String) -> TextFile? {
        guard let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8) else { return nil }
        return TextFile(path: path, text: text)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// The paths of all files below a folder, sorted; not what is hidden or built.
    static func paths(below folder: String) -> [String] {
        let start = root.appending(path: folder).path
        guard let found = FileManager.default.enumerator(atPath: start) else { return [] }
        let left = ["__pycache__", ".build", "node_modules"]
        return found.compactMap { $0 as? String }
            .filter { path in !path.split(separator: "/").contains { left.contains(String($0)) } }
            .map { "\(folder)/\($0)" }
            .filter { path in
                var isFolder: ObjCBool = false
                let isThere = FileManager.default.fileExists(
                    atPath: root.appending(path: path).path, isDirectory: &isFolder)
                return isThere && !isFolder.boolValue
            }
            .sorted()
    }

    /// The paths of all symbolic links below a folder.
    static func links(below folder: String) -> [String] {
        let start = root.appending(path: folder).path
        guard let found = FileManager.default.enumerator(atPath: start) else { return [] }
        return found.compactMap { $0 as? String }
            .filter { path in !path.split(separator: "/").contains(".build") }
            .map { "\(folder)/\($0)" }
            .filter { path in
                let attributes = try? FileManager.default.attributesOfItem(atPath: root.appending(path: path).path)
                return attributes?[.type] as? FileAttributeType == .typeSymbolicLink
            }
    }

    private static func files(below folder: String, endings: Set<String>?) -> [TextFile] {
        paths(below: folder)
            .filter { path in endings?.contains(path.split(separator: ".").last.map(String.init) ?? "") ?? true }
            .compactMap(file)
    }
}

/// Shows a file as its path where a test lists its arguments.
protocol CustomTestStringConvertibleByPath: CustomStringConvertible {
    var path: String { get }
}

extension CustomTestStringConvertibleByPath {
    var description: String { path }
}
