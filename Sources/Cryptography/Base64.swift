/// Base64, RFC 4648; Matrix mostly writes it unpadded.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#unpadded-base64>
public enum Base64 {
    /// Which alphabet, and whether with "=".
    public enum Form: Sendable {
        case standard, standardUnpadded, urlSafe, urlSafeUnpadded

        fileprivate var isPadded: Bool { self == .standard || self == .urlSafe }
        fileprivate var alphabet: [UInt8] {
            self == .standard || self == .standardUnpadded ? Base64.standardAlphabet : Base64.urlSafeAlphabet
        }
    }

    private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    fileprivate static let standardAlphabet = Array((letters + "+/").utf8)
    fileprivate static let urlSafeAlphabet = Array((letters + "-_").utf8)

    /// The six bits of each character of either alphabet; 255 for all others.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for alphabet in [standardAlphabet, urlSafeAlphabet] {
            for (value, character) in alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        }
        return values
    }()

    /// `bytes` as text, without line breaks.
    public static func encode(_ bytes: some ContiguousBytes, _ form: Form = .standardUnpadded) -> String {
        bytes.withBytes { bytes in
            let capacity = (bytes.count + 2) / 3 * 4
            let alphabet = form.alphabet
            return String(unsafeUninitializedCapacity: capacity) { output in
                var written = 0
                func put(_ bits: UInt32) {
                    output[written] = alphabet[Int(bits & 63)]
                    written += 1
                }
                var read = 0
                while read + 3 <= bytes.count {
                    let group = UInt32(bytes[read]) << 16 | UInt32(bytes[read + 1]) << 8 | UInt32(bytes[read + 2])
                    put(group >> 18)
                    put(group >> 12)
                    put(group >> 6)
                    put(group)
                    read += 3
                }
                let rest = bytes.count - read
                guard rest > 0 else { return written }
                let group = UInt32(bytes[read]) << 16 | (rest == 2 ? UInt32(bytes[read + 1]) << 8 : 0)
                put(group >> 18)
                put(group >> 12)
                if rest == 2 { put(group >> 6) }
                if form.isPadded {
                    for _ in rest..<3 {
                        output[written] = UInt8(ascii: "=")
                        written += 1
                    }
                }
                return written
            }
        }
    }

    /// The bytes of `text`, or nil. Either alphabet, with or without padding, and unused trailing bits are ignored;
    /// if `strict`, padding must be right or absent, trailing bits zero and the alphabets not mixed.
    public static func decode(_ text: String, strict: Bool = false) -> [UInt8]? {
        var text = text
        return text.withUTF8 { decode($0, strict: strict) }
    }

    /// As above, from UTF-8 bytes.
    public static func decode(_ text: some ContiguousBytes, strict: Bool = false) -> [UInt8]? {
        text.withBytes { $0.withMemoryRebound(to: UInt8.self) { decode($0, strict: strict) } }
    }

    private static func decode(_ text: UnsafeBufferPointer<UInt8>, strict: Bool) -> [UInt8]? {
        var end = text.count
        while end > 0, text.count - end < 2, text[end - 1] == UInt8(ascii: "=") { end -= 1 }
        let padding = text.count - end
        let rest = end % 4
        guard rest != 1 else { return nil }
        if strict, padding > 0, text.count % 4 != 0 { return nil }
        if strict, text[..<end].contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/") }),
            text[..<end].contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
        {
            return nil
        }
        var isValid = true
        let bytes = values.withUnsafeBufferPointer { values in
            [UInt8](unsafeUninitializedCapacity: end / 4 * 3 + 2) { output, count in
                var bits: UInt32 = 0
                var seen: UInt8 = 0
                var held = 0
                for index in 0..<end {
                    let value = values[Int(text[index])]
                    seen |= value
                    bits = bits << 6 | UInt32(value & 63)
                    held += 6
                    if held >= 8 {
                        held -= 8
                        output[count] = UInt8(truncatingIfNeeded: bits >> UInt32(held))
                        count += 1
                    }
                }
                if seen & 0xc0 != 0 { isValid = false }
                if strict, bits & ((1 << UInt32(held)) - 1) != 0 { isValid = false }
            }
        }
        return isValid ? bytes : nil
    }
}
