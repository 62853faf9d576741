import CQREncode

/// A QR code drawn in a terminal, two modules to a character. Black and white are named, not left to the terminal: a
/// reader wants dark on light, also where text is light on dark.
struct QRDrawing {
    /// Light modules around the code, as a reader needs them. ISO/IEC 18004 has four.
    static let margin = 4
    /// Sets the colors: of the 256, those that no theme changes.
    private static let begin = "\u{1B}[38;5;16;48;5;231m"
    private static let end = "\u{1B}[0m"

    /// Whether each module is dark, row by row, without the margin.
    let modules: [[Bool]]

    /// The code of these bytes, in one segment; nil for none, or more than a code can hold (2,953).
    init?(_ bytes: [UInt8]) {
        // The lowest level of error correction: a terminal does not get dirty, and the code is smaller.
        guard !bytes.isEmpty, bytes.count <= 2_953,
            let code = QRcode_encodeData(Int32(bytes.count), bytes, 0, QR_ECLEVEL_L)
        else { return nil }
        defer { QRcode_free(code) }
        let width = Int(code.pointee.width)
        guard let first = code.pointee.data else { return nil }
        let all = UnsafeBufferPointer(start: first, count: width * width)
        modules = (0..<width).map { row in all[row * width..<(row + 1) * width].map { $0 & 1 == 1 } }
    }

    /// The lines, each with its colors.
    var lines: [String] {
        let width = modules.count + 2 * Self.margin
        return stride(from: 0, to: width, by: 2).map { row in
            let cells = (0..<width).map { column in
                switch (isDark(row, column), isDark(row + 1, column)) {
                case (true, true): "█"
                case (true, false): "▀"
                case (false, true): "▄"
                case (false, false): " "
                }
            }
            return Self.begin + cells.joined() + Self.end
        }
    }

    private func isDark(_ row: Int, _ column: Int) -> Bool {
        let (row, column) = (row - Self.margin, column - Self.margin)
        return modules.indices.contains(row) && modules.indices.contains(column) && modules[row][column]
    }
}
