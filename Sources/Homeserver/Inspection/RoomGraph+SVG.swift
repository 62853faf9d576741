internal import MatrixModel

/// The graph as a picture: time goes down, events that do not know of each other stand side by side.
extension RoomGraph {
    private static let width = 300
    private static let height = 54
    private static let gapX = 24
    private static let gapY = 30
    private static let margin = 20

    public func svg() -> String {
        let places = layout()
        let columns = (places.values.map(\.column).max() ?? 0) + 1
        let rows = (places.values.map(\.row).max() ?? 0) + 1
        let graphWidth = columns * (Self.width + Self.gapX)
        let total = (
            width: graphWidth + 480 + 2 * Self.margin,
            height: max(rows * (Self.height + Self.gapY), (state.count + 3) * 16) + 2 * Self.margin + 30
        )
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(total.width)" height="\(total.height)" \
            viewBox="0 0 \(total.width) \(total.height)" font-family="sans-serif" font-size="11">
            <rect width="100%" height="100%" fill="#ffffff"/>
            <text x="\(Self.margin)" y="\(Self.margin)" font-size="14">\
            \(Self.drawable("\(room.text), version \(version)", 300).escapedForMarkup)</text>

            """
        for node in nodes {
            guard let end = places[node.id] else { continue }
            let (x, y) = Self.corner(end)
            for id in node.before {
                guard let start = places[id].map(Self.corner) else {
                    // What is before it is not drawn.
                    text += Self.line(x + Self.width / 2, y - Self.gapY / 2, x + Self.width / 2, y, isDashed: true)
                    continue
                }
                text += Self.line(
                    start.x + Self.width / 2, start.y + Self.height, x + Self.width / 2, y, isDashed: false)
            }
        }
        for node in nodes {
            guard let place = places[node.id] else { continue }
            let (x, y) = Self.corner(place)
            text += """
                <g><title>\(Self.drawable(node.id.text, 255).escapedForMarkup)</title><rect x="\(x)" y="\(y)" width="\(Self.width)" \
                height="\(Self.height)" rx="4" fill="\(Self.color(node))" stroke="#333333" \
                stroke-width="\(node.isExtremity ? 3 : 1)"/>

                """
            for (index, line) in Self.lines(node).enumerated() {
                text += "<text x=\"\(x + 8)\" y=\"\(y + 16 + index * 15)\">\(line.escapedForMarkup)</text>\n"
            }
            text += "</g>\n"
        }
        let x = graphWidth + Self.margin
        var y = Self.margin + 40
        for line in ["state: \(stateCount) keys"]
            + state.map({ Self.drawable("\($0.type) · \($0.stateKey)", 60) + " ← " + Self.short($0.event) })
        {
            text += "<text x=\"\(x)\" y=\"\(y)\">\(line.escapedForMarkup)</text>\n"
            y += 16
        }
        return text + "</svg>\n"
    }

    struct Place: Hashable, Sendable {
        var column: Int
        var row: Int
    }

    /// An event's row is one below the lowest of those before it; its column the first free one from that of its first
    /// predecessor on.
    func layout() -> [EventID: Place] {
        var places: [EventID: Place] = [:]
        var taken: Set<Place> = []
        for node in nodes {
            let before = node.before.compactMap { places[$0] }
            var place = Place(
                column: before.map(\.column).min() ?? 0, row: (before.map(\.row).max() ?? -1) + 1)
            while taken.contains(place) { place.column += 1 }
            taken.insert(place)
            places[node.id] = place
        }
        return places
    }

    private static func corner(_ place: Place) -> (x: Int, y: Int) {
        (margin + place.column * (width + gapX), margin + 30 + place.row * (height + gapY))
    }

    private static func line(_ x1: Int, _ y1: Int, _ x2: Int, _ y2: Int, isDashed: Bool) -> String {
        let dashes = isDashed ? " stroke-dasharray=\"4\"" : ""
        return "<line x1=\"\(x1)\" y1=\"\(y1)\" x2=\"\(x2)\" y2=\"\(y2)\" stroke=\"#555555\"\(dashes)/>\n"
    }

}
