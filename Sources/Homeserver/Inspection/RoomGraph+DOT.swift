internal import HomeserverStorage
internal import MatrixModel

/// The graph as Graphviz reads it. <https://graphviz.org/doc/info/lang.html>
extension RoomGraph {
    /// - Parameter auth: whether auth events are drawn too, dotted.
    public func dot(auth: Bool = false) -> String {
        var text = "digraph room {\n"
        text += "  label=\(Self.quoted("\(room.text), version \(version)"));\n"
        text += "  rankdir=TB; node [shape=box, style=filled, fillcolor=white, fontname=sans, fontsize=10];\n"
        let drawn = Set(nodes.map(\.id))
        for node in nodes {
            let label = Self.lines(node).map(Self.escaped).joined(separator: "\\n")
            var style = "label=\"\(label)\", fillcolor=\(Self.quoted(Self.color(node)))"
            if node.isExtremity { style += ", penwidth=3" }
            text += "  \(Self.quoted(node.id.text)) [\(style)];\n"
        }
        for node in nodes {
            for id in node.before {
                let edge = "  \(Self.quoted(id.text)) -> \(Self.quoted(node.id.text))"
                text += drawn.contains(id) ? edge + ";\n" : edge + " [style=dashed];\n"
            }
            if auth {
                for id in node.auth where drawn.contains(id) {
                    text += "  \(Self.quoted(id.text)) -> \(Self.quoted(node.id.text)) [style=dotted, color=gray];\n"
                }
            }
        }
        for id in Set(nodes.flatMap(\.before)).subtracting(drawn).sorted() {
            text += "  \(Self.quoted(id.text)) [label=\"\(Self.escaped(Self.short(id))) …\", style=dashed];\n"
        }
        var rows = ["state: \(stateCount) keys"]
        rows += state.map { Self.drawable("\($0.type) · \($0.stateKey)", 60) + " ← " + Self.short($0.event) }
        let label = rows.map { Self.escaped($0) + "\\l" }.joined()
        return text + "  state [shape=note, label=\"\(label)\"];\n}\n"
    }

    static func color(_ node: Node) -> String {
        if node.flags.contains(.rejected) { return "#f4b6b6" }
        if node.flags.contains(.softFailed) { return "#f7dcae" }
        if node.isCurrent { return "#bfe3c0" }
        return node.stateKey == nil ? "#ffffff" : "#dfeaf7"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    }

    private static func quoted(_ text: String) -> String { "\"" + escaped(text) + "\"" }
}
