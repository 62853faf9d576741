/// Numbers as text.
enum JSONNumberText {
    static func append(_ integer: Int64, to bytes: inout [UInt8]) {
        if integer >= 0, integer < 10 {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: integer))
        } else {
            bytes.append(contentsOf: String(integer).utf8)
        }
    }

    static func append(_ double: Double, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: double.isFinite ? "\(double)".utf8 : "null".utf8)
    }
}
