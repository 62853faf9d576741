public import MatrixModel

/// Where in an event a property is: names with dots between them, dots and backslashes in a name behind a backslash.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#dot-separated-property-paths>
public struct PropertyPath: Sendable, Hashable, CustomStringConvertible {
    /// The path as it is written.
    public let text: String
    /// The names, without backslashes.
    public let names: [String]

    /// Reads a path. Every text is one: other escapes stand for themselves.
    public init(_ text: String) {
        self.text = text
        var names: [String] = []
        var name = String.UnicodeScalarView()
        var isEscape = false
        for scalar in text.unicodeScalars {
            switch (scalar, isEscape) {
            case ("\\", false):
                isEscape = true
                continue
            case (".", false):
                names.append(String(name))
                name = String.UnicodeScalarView()
            case (".", true), ("\\", true), (_, false):
                name.append(scalar)
            case (_, true):
                name.append("\\")
                name.append(scalar)
            }
            isEscape = false
        }
        if isEscape { name.append("\\") }
        names.append(String(name))
        self.names = names
    }

    /// The path of these names.
    public init(names: [String]) {
        self.names = names
        text = names.map { $0.replacing("\\", with: "\\\\").replacing(".", with: "\\.") }.joined(separator: ".")
    }

    /// The path as it is written.
    public var description: String { text }

    /// The property of an event; `nil` if it has none.
    public func property(of event: JSONView) -> JSONView? { event[path: names] }
}
