/// One entry of the tape: 16 bytes for each key and each value, in the order of the text. An object's node is followed
/// by key, value, key, value; an array's by its elements.
struct JSONNode: Sendable {
    /// Where the value's text begins; a string's at its quote.
    var offset: UInt32
    /// How many bytes its text has, quotes included.
    var length: UInt32
    /// A container's: the index after its last descendant (its parent's while it is being parsed). A key's: its hash.
    var extra: UInt32
    /// The kind in bits 0-3, flags in bits 4-7, the number of children above.
    var tag: UInt32

    static let maximumCount = 1 << 24 - 1
    /// A string with an escape in it.
    static let escaped: UInt32 = 1 << 4
    /// An object with a key that occurs twice.
    static let duplicates: UInt32 = 1 << 5
    /// `true`, not `false`.
    static let isTrue: UInt32 = 1 << 6
    static let oneChild: UInt32 = 1 << 8

    var kind: JSONKind { JSONKind(rawValue: UInt8(tag & 0xF)) ?? .null }
    var isObject: Bool { tag & 0xF == UInt32(JSONKind.object.rawValue) }
    var isContainer: Bool { tag & 0xF >= UInt32(JSONKind.array.rawValue) }
    var isEscaped: Bool { tag & Self.escaped != 0 }
    var hasDuplicates: Bool { tag & Self.duplicates != 0 }
    var childCount: Int { Int(tag >> 8) }
    var start: Int { Int(offset) }
    var end: Int { Int(offset) + Int(length) }

    /// The bytes between a string's quotes.
    var inner: Range<Int> { start + 1..<max(end - 1, start + 1) }

    /// The index of the node after this one, which is at `index`, and its descendants.
    func next(after index: Int) -> Int { isContainer ? Int(extra) : index + 1 }

    static func tag(_ kind: JSONKind) -> UInt32 { UInt32(kind.rawValue) }
}
