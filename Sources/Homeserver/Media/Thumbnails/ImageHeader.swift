/// What the first bytes of an image say: its format and size. What they do not say for sure is no image for us.
struct ImageHeader: Equatable, Sendable {
    enum Format: Sendable {
        case jpeg, png, gif, webp

        /// The ending and type of a thumbnail made of it: JPEG stays JPEG, the others may be transparent.
        var thumbnailEnding: String { self == .jpeg ? ".jpg" : ".png" }
        var thumbnailType: String { self == .jpeg ? "image/jpeg" : "image/png" }
    }

    let format: Format
    let width: Int
    let height: Int
    /// Whether metadata may tell to show it turned by 90 degrees.
    let mayBeTurned: Bool

    /// `nil` for anything but the start of a JPEG, PNG, GIF or WebP image.
    init?(_ bytes: [UInt8]) {
        let reader = Reader(bytes: bytes)
        let found: (Format, Int, Int)? =
            if reader.has([0xFF, 0xD8, 0xFF], at: 0) {
                reader.jpegSize().map { (.jpeg, $0, $1) }
            } else if reader.has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A], at: 0), reader.has("IHDR", at: 12) {
                reader.pair(16, count: 4, littleEndian: false).map { (.png, $0, $1) }
            } else if reader.has("GIF87a", at: 0) || reader.has("GIF89a", at: 0) {
                reader.pair(6, count: 2, littleEndian: true).map { (.gif, $0, $1) }
            } else if reader.has("RIFF", at: 0), reader.has("WEBP", at: 8) {
                reader.webPSize().map { (.webp, $0, $1) }
            } else {
                nil
            }
        guard let (format, width, height) = found, width > 0, height > 0 else { return nil }
        self.format = format
        self.width = width
        self.height = height
        mayBeTurned = format != .gif && reader.mentionsExif
    }

    private struct Reader {
        let bytes: [UInt8]

        func has(_ expected: [UInt8], at offset: Int) -> Bool {
            bytes.count >= offset + expected.count && bytes[offset...].starts(with: expected)
        }

        func has(_ text: String, at offset: Int) -> Bool { has(Array(text.utf8), at: offset) }

        /// An unsigned number of at most four bytes.
        func number(_ offset: Int, count: Int, littleEndian: Bool = false) -> Int? {
            guard offset >= 0, offset <= bytes.count - count else { return nil }
            let part = bytes[offset..<offset + count]
            let ordered = littleEndian ? Array(part.reversed()) : Array(part)
            return ordered.reduce(0) { $0 << 8 | Int($1) }
        }

        func pair(_ offset: Int, count: Int, littleEndian: Bool) -> (Int, Int)? {
            guard let first = number(offset, count: count, littleEndian: littleEndian),
                let second = number(offset + count, count: count, littleEndian: littleEndian)
            else { return nil }
            return (first, second)
        }

        /// Walks the segments to the frame header.
        func jpegSize() -> (Int, Int)? {
            var offset = 2
            while let mark = number(offset, count: 1), mark == 0xFF, let kind = number(offset + 1, count: 1) {
                switch kind {
                case 0xFF: offset += 1
                case 0x01, 0xD0...0xD8: offset += 2
                case 0xC0...0xC3, 0xC5...0xC7, 0xC9...0xCB, 0xCD...0xCF:
                    return pair(offset + 5, count: 2, littleEndian: false).map { ($1, $0) }
                case 0xD9, 0xDA: return nil
                default:
                    guard let length = number(offset + 2, count: 2), length >= 2 else { return nil }
                    offset += 2 + length
                }
            }
            return nil
        }

        func webPSize() -> (Int, Int)? {
            if has("VP8X", at: 12) {
                return pair(24, count: 3, littleEndian: true).map { ($0 + 1, $1 + 1) }
            }
            if has("VP8L", at: 12), has([0x2F], at: 20), let bits = number(21, count: 4, littleEndian: true) {
                return (bits & 0x3FFF + 1, bits >> 14 & 0x3FFF + 1)
            }
            if has("VP8 ", at: 12), has([0x9D, 0x01, 0x2A], at: 23) {
                return pair(26, count: 2, littleEndian: true).map { ($0 & 0x3FFF, $1 & 0x3FFF) }
            }
            return nil
        }

        /// Whether the bytes at hand hold EXIF metadata, which may tell an orientation.
        var mentionsExif: Bool {
            if has("VP8X", at: 12) { return (number(20, count: 1) ?? 0) & 0x08 != 0 }
            return contains("Exif\0\0") || contains("eXIf")
        }

        private func contains(_ text: String) -> Bool { bytes.firstRange(of: Array(text.utf8)) != nil }
    }
}
