/// How many frames a moving image has: found by walking over its blocks, without decoding anything.
enum FrameCount {
    /// The frames of a GIF or WebP image; `nil` for what is not whole, has too many, or moves in another way.
    static func of(_ bytes: [UInt8], _ format: ImageHeader.Format) -> Int? {
        switch format {
        case .gif: gif(bytes)
        case .webp: webP(bytes)
        case .jpeg, .png: nil
        }
    }

    /// GIF89a: header, blocks of extensions and images, each a row of sub-blocks. What ends early counts as far as it goes.
    private static func gif(_ bytes: [UInt8]) -> Int? {
        func byte(_ offset: Int) -> UInt8? { bytes.indices.contains(offset) ? bytes[offset] : nil }
        func afterColors(_ offset: Int, _ flags: UInt8) -> Int {
            flags & 0x80 == 0 ? offset : offset + 3 << (Int(flags & 7) + 1)
        }
        func afterSubBlocks(_ offset: Int) -> Int? {
            var offset = offset
            while let count = byte(offset) {
                offset += 1 + Int(count)
                if count == 0 { return offset }
            }
            return nil
        }
        guard let flags = byte(10) else { return nil }
        var offset = afterColors(13, flags)
        var frames = 0
        while let kind = byte(offset) {
            switch kind {
            case 0x21:
                guard let next = afterSubBlocks(offset + 2) else { return frames }
                offset = next
            case 0x2C:
                guard let flags = byte(offset + 9), let next = afterSubBlocks(afterColors(offset + 10, flags) + 1)
                else { return frames }
                frames += 1
                guard frames <= MediaLimits.animationFrames else { return nil }
                offset = next
            default: return frames
            }
        }
        return frames
    }

    /// RIFF: chunks of a name and a length; `ANMF` is a frame.
    private static func webP(_ bytes: [UInt8]) -> Int? {
        var offset = 12
        var frames = 0
        while offset <= bytes.count - 8 {
            let length = bytes[offset + 4..<offset + 8].reversed().reduce(0) { $0 << 8 | Int($1) }
            if bytes[offset..<offset + 4].elementsEqual("ANMF".utf8) {
                frames += 1
                guard frames <= MediaLimits.animationFrames else { return nil }
            }
            offset += 8 + length + length % 2
        }
        return frames
    }
}
