import Foundation

/// Paths and small files.
enum Paths {
    static var currentFolder: String { FileManager.default.currentDirectoryPath }

    static func absolute(_ path: String, from folder: String) -> String {
        path.hasPrefix("/") ? path : folder + "/" + path
    }

    static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    static func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    /// A file's text without blanks at its ends. Throws what to tell the operator.
    static func secret(_ path: String) throws(Setting.Wrong) -> String {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Setting.Wrong("the file \(path) cannot be read")
        }
        guard data.count <= 1 << 20 else { throw Setting.Wrong("the file \(path) is too large") }
        let text = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty else { throw Setting.Wrong("the file \(path) is empty") }
        return text
    }
}
