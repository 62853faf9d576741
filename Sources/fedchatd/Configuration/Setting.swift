import MatrixModel
import Yams

/// The value of one key, from the file or the environment. Reads throw what was expected.
enum Setting {
    struct Wrong: Error {
        var expected: String
        init(_ expected: String) { self.expected = expected }
    }

    case node(Node)
    case environment(String)

    var string: String {
        get throws(Wrong) {
            switch self {
            case .environment(let text): return text
            case .node(let node):
                guard case .scalar(let scalar) = node, node.null == nil else { throw Wrong("expected text") }
                return scalar.string
            }
        }
    }

    var boolean: Bool {
        get throws(Wrong) {
            switch try string {
            case "true": return true
            case "false": return false
            default: throw Wrong("expected true or false")
            }
        }
    }

    func integer(in range: ClosedRange<Int64>) throws(Wrong) -> Int64 {
        guard let value = Int64(try string.filter { $0 != "_" }), range.contains(value) else {
            throw Wrong("expected a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func decimal(in range: ClosedRange<Double>) throws(Wrong) -> Double {
        guard let value = Double(try string), range.contains(value) else {
            throw Wrong("expected a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    func choice(_ choices: [String]) throws(Wrong) -> String {
        let text = try string
        guard choices.contains(text) else { throw Wrong("expected one of \(choices.joined(separator: ", "))") }
        return text
    }

    /// A list of texts; in the environment, a JSON array.
    var strings: [String] {
        get throws(Wrong) {
            switch self {
            case .node(let node):
                guard case .sequence(let sequence) = node else { throw Wrong("expected a list") }
                var texts: [String] = []
                for item in sequence { texts.append(try Setting.node(item).string) }
                return texts
            case .environment(let text):
                guard let list = try? JSONValue.parse(Array(text.utf8)), case .array(let items) = list else {
                    throw Wrong("expected a JSON array of strings")
                }
                var texts: [String] = []
                for item in items {
                    guard let text = item.string else { throw Wrong("expected a JSON array of strings") }
                    texts.append(text)
                }
                return texts
            }
        }
    }

    /// A list of mappings; in the environment, a JSON array of objects (which is YAML too).
    var mappings: [Node.Mapping] {
        get throws(Wrong) {
            var node: Node
            switch self {
            case .node(let given): node = given
            case .environment(let text):
                guard let parsed = try? Yams.compose(yaml: text) else {
                    throw Wrong("expected a JSON array of objects")
                }
                node = parsed
            }
            guard case .sequence(let sequence) = node else { throw Wrong("expected a list") }
            var found: [Node.Mapping] = []
            for item in sequence {
                guard case .mapping(let mapping) = item else { throw Wrong("expected a list of mappings") }
                found.append(mapping)
            }
            return found
        }
    }
}
