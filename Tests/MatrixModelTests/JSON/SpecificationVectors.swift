import Foundation
import MatrixModel
import Testing

/// A file below `spec/vectors`.
func specificationVectors(_ path: String, filePath: String = #filePath) throws -> JSONDocument {
    let package = URL(fileURLWithPath: filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    return try JSONDocument([UInt8](Data(contentsOf: package.appending(path: "spec/vectors/\(path)"))))
}

/// The text of a view or of bytes, for comparisons that a person can read.
func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

/// A document of a literal.
func document(_ text: String) throws(JSONError) -> JSONDocument { try JSONDocument(Array(text.utf8)) }
