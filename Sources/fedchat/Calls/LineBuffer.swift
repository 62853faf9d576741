/// Bytes that come in pieces, as lines.
struct LineBuffer {
    /// Bytes of a line; a longer one is not taken.
    let limit: Int
    private var bytes: [UInt8] = []
    /// Whether a line was too long; nothing comes any more.
    private(set) var isTooLong = false

    init(limit: Int) { self.limit = limit }

    /// The lines that are whole now, without their ends.
    mutating func take(_ piece: some Collection<UInt8>) -> [[UInt8]] {
        guard !isTooLong else { return [] }
        var lines: [[UInt8]] = []
        var searched = bytes.count
        bytes += piece
        while let end = bytes[searched...].firstIndex(of: 0x0A) {
            lines.append(Array(bytes[..<end]))
            bytes.removeSubrange(...end)
            searched = 0
        }
        if bytes.count > limit || lines.contains(where: { $0.count > limit }) {
            isTooLong = true
            lines = lines.filter { $0.count <= limit }
        }
        return lines
    }
}
