import Testing

@testable import fedchat

@Suite("QR codes on the terminal") struct QRDrawingTests {
    /// As long as those of a verification in a room are.
    private let bytes = Array("MATRIX".utf8) + (0..<128).map { UInt8(truncatingIfNeeded: $0 &* 37) }

    /// The modules with their margin, read from the characters.
    private func read(_ lines: [String]) -> [[Bool]] {
        var rows: [[Bool]] = []
        for line in lines {
            let cells = line.dropFirst("\u{1B}[38;5;16;48;5;231m".count).dropLast("\u{1B}[0m".count)
            rows.append(cells.map { "█▀".contains($0) })
            rows.append(cells.map { "█▄".contains($0) })
        }
        return rows
    }

    @Test func `what is drawn is the code within its margin`() throws {
        let drawing = try #require(QRDrawing(bytes))
        let (modules, drawn) = (drawing.modules, read(drawing.lines))
        let size = modules.count
        #expect(size == 41, "134 bytes make a code of version 6")
        #expect(drawn.allSatisfy { $0.count == size + 8 })
        for (row, line) in drawn.enumerated() {
            for (column, isDark) in line.enumerated() {
                let isInside = (4..<size + 4).contains(row) && (4..<size + 4).contains(column)
                #expect(isDark == (isInside && modules[row - 4][column - 4]), "\(row) \(column)")
            }
        }
    }

    @Test func `three corners have the pattern that readers look for`() throws {
        let modules = try #require(QRDrawing(bytes)).modules
        let last = modules.count - 7
        for (row, column) in [(0, 0), (0, last), (last, 0)] {
            for (y, x) in (0..<7).flatMap({ y in (0..<7).map { (y, $0) } }) {
                let ring = max(abs(y - 3), abs(x - 3))
                #expect(modules[row + y][column + x] == (ring != 2), "\(row + y) \(column + x)")
            }
        }
        #expect((8..<modules.count - 8).allSatisfy { modules[6][$0] == ($0 % 2 == 0) }, "the timing pattern")
    }

    @Test func `each line sets its colors and puts them back`() throws {
        for line in try #require(QRDrawing(bytes)).lines {
            #expect(line.hasPrefix("\u{1B}[38;5;16;48;5;231m") && line.hasSuffix("\u{1B}[0m"))
        }
    }

    @Test func `nothing, and more than a code holds, is not drawn`() {
        #expect(QRDrawing([]) == nil)
        #expect(QRDrawing([UInt8](repeating: 1, count: 2_953)) != nil)
        #expect(QRDrawing([UInt8](repeating: 1, count: 2_954)) == nil)
    }
}
