/// Writes JSON text piece by piece, setting the commas. That keys and values alternate is up to the caller.
public struct JSONWriter: Sendable {
    /// What has been written.
    public private(set) var bytes: [UInt8] = []
    private var needsComma = false

    /// An empty text, with room for so many bytes.
    public init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    private mutating func beforeValue() {
        if needsComma { bytes.append(0x2C) }
        needsComma = true
    }

    /// Opens an object.
    public mutating func beginObject() {
        beforeValue()
        bytes.append(0x7B)
        needsComma = false
    }

    /// Closes the object opened last.
    public mutating func endObject() {
        bytes.append(0x7D)
        needsComma = true
    }

    /// Opens an array.
    public mutating func beginArray() {
        beforeValue()
        bytes.append(0x5B)
        needsComma = false
    }

    /// Closes the array opened last.
    public mutating func endArray() {
        bytes.append(0x5D)
        needsComma = true
    }

    /// Writes a key and its colon; the value comes next.
    public mutating func key(_ key: String) {
        beforeValue()
        JSONStringText.appendEscaped(key, to: &bytes)
        bytes.append(0x3A)
        needsComma = false
    }

    /// Writes a string with the shortest escapes.
    public mutating func string(_ string: String) {
        beforeValue()
        JSONStringText.appendEscaped(string, to: &bytes)
    }

    /// Writes an integer.
    public mutating func integer(_ integer: some BinaryInteger) {
        beforeValue()
        JSONNumberText.append(Int64(clamping: integer), to: &bytes)
    }

    /// Writes a number in its shortest form that reads back the same; what is not finite, as `null`.
    public mutating func number(_ number: Double) {
        beforeValue()
        JSONNumberText.append(number, to: &bytes)
    }

    /// Writes `true` or `false`.
    public mutating func bool(_ bool: Bool) {
        beforeValue()
        bytes.append(contentsOf: bool ? "true".utf8 : "false".utf8)
    }

    /// Writes `null`.
    public mutating func null() {
        beforeValue()
        bytes.append(contentsOf: "null".utf8)
    }

    /// Writes bytes that are one JSON value already.
    public mutating func raw(_ value: some Collection<UInt8>) {
        beforeValue()
        bytes.append(contentsOf: value)
    }

    /// Writes a value, the keys of objects sorted by their bytes.
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let bool): self.bool(bool)
        case .integer(let integer): self.integer(integer)
        case .number(let double): number(double)
        case .string(let string): self.string(string)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object:
            beginObject()
            for (key, value) in value.members {
                self.key(key)
                self.value(value)
            }
            endObject()
        }
    }

    /// Writes a view as it came.
    public mutating func value(_ view: JSONView) { raw(view.rawBytes) }
}
