/// A text and its tape, shared by all views of a document.
final class JSONStorage: Sendable {
    let bytes: [UInt8]
    let nodes: [JSONNode]

    init(bytes: [UInt8], nodes: [JSONNode]) {
        self.bytes = bytes
        self.nodes = nodes
    }

    func string(_ index: Int) -> String {
        let node = nodes[index]
        let bytes = bytes
        if node.isEscaped { return String(decoding: JSONStringText.decoded(bytes.span, node), as: UTF8.self) }
        return bytes.withUnsafeBufferPointer { String(decoding: $0[node.inner], as: UTF8.self) }
    }

    func integer(_ index: Int) -> Int64? {
        let node = nodes[index]
        let bytes = bytes
        return Self.integer(bytes.span, node.start..<node.end)
    }

    /// A checked run of digits, perhaps with a minus; `nil` if it does not fit.
    static func integer(_ text: Span<UInt8>, _ range: Range<Int>) -> Int64? {
        var position = range.lowerBound
        let isNegative = text[position] == 0x2D
        if isNegative { position += 1 }
        var value: Int64 = 0
        while position < range.upperBound {
            let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tens.subtractingReportingOverflow(Int64(text[position] &- 0x30))
            if tooLarge || overflow { return nil }
            value = sum
            position += 1
        }
        if isNegative { return value }
        return value == .min ? nil : -value
    }

    /// The index of the value of a key of the object at `index`; of the last, if the key occurs twice.
    func find(_ key: String, in index: Int) -> Int? {
        guard nodes[index].isObject else { return nil }
        var key = key
        return key.withUTF8 { find($0.span, in: index) }
    }

    private func find(_ key: Span<UInt8>, in index: Int) -> Int? {
        let bytes = bytes
        let nodes = nodes
        let text = bytes.span
        let object = nodes[index]
        let hash = JSONBytes.keyHash(key, 0, key.count)
        let length = key.count + 2
        var found: Int?
        var position = index + 1
        for _ in 0..<object.childCount {
            let node = nodes[position]
            let isSame =
                if node.isEscaped {
                    isEqual(JSONStringText.decoded(text, node), key)
                } else {
                    node.extra == hash && Int(node.length) == length
                        && JSONBytes.equal(text, node.start + 1, key, 0, key.count)
                }
            if isSame {
                if !object.hasDuplicates { return position + 1 }
                found = position + 1
            }
            position = nodes[position + 1].next(after: position + 1)
        }
        return found
    }

    private func isEqual(_ left: [UInt8], _ right: Span<UInt8>) -> Bool {
        left.count == right.count && JSONBytes.equal(left.span, 0, right, 0, right.count)
    }

    /// The indices of the keys of an object, in the order of the text, those overridden by a later one left out.
    func keys(of index: Int) -> [Int] {
        let object = nodes[index]
        var keys: [Int] = []
        keys.reserveCapacity(object.childCount)
        var position = index + 1
        for _ in 0..<object.childCount {
            keys.append(position)
            position = nodes[position + 1].next(after: position + 1)
        }
        guard object.hasDuplicates else { return keys }
        let bytes = bytes
        var seen: Set<[UInt8]> = []
        keys.reverse()
        keys.removeAll { !seen.insert(JSONStringText.decoded(bytes.span, nodes[$0])).inserted }
        keys.reverse()
        return keys
    }
}
