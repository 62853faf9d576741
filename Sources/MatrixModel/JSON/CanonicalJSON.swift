/// The one encoding of a JSON value that hashes and signatures are taken of.
///
/// `strict` is what room versions from 6 on and everything signed outside of rooms ask for: integers from -(2^53)+1 to
/// 2^53-1, no fraction, no exponent, no minus before zero. Without `strict` numbers keep the text they came with,
/// except that `-0` becomes `0`, and an exponent goes where the number is such an integer, as in the specification's
/// example.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#canonical-json>
public enum CanonicalJSON {
    /// The largest integer of canonical JSON, 2^53 - 1; its negative is the smallest.
    public static let maximumInteger: Int64 = 1 << 53 - 1

    /// Encodes a view, of which the last counts where a key occurs twice.
    public static func encode(_ view: JSONView, strict: Bool) throws(JSONError) -> [UInt8] {
        try encode(view, omitting: [], strict: strict)
    }

    /// Encodes an object without some of its own keys; those of the objects in it stay.
    public static func encode(_ view: JSONView, omitting keys: Set<String>, strict: Bool) throws(JSONError) -> [UInt8] {
        var encoder = CanonicalEncoder(storage: view.storage, strict: strict)
        try encoder.run(view.index, omitting: keys)
        return encoder.output
    }

    /// Encodes a value. A `number` is refused if `strict`, and else if it is not finite.
    public static func encode(_ value: JSONValue, strict: Bool) throws(JSONError) -> [UInt8] {
        try check(value, strict: strict)
        return value.serialized()
    }

    private static func check(_ value: JSONValue, strict: Bool) throws(JSONError) {
        switch value {
        case .null, .bool, .string: break
        case .integer(let integer):
            if strict, integer.magnitude > maximumInteger.magnitude { throw JSONError(.notCanonicalNumber, at: 0) }
        case .number(let number):
            if strict || !number.isFinite { throw JSONError(.notCanonicalNumber, at: 0) }
        case .array(let elements):
            for element in elements { try check(element, strict: strict) }
        case .object(let object):
            for element in object.values { try check(element, strict: strict) }
        }
    }
}

/// Walks a tape and writes it canonically. Depth is bounded by the limits of the document.
private struct CanonicalEncoder {
    let storage: JSONStorage
    let strict: Bool
    var output: [UInt8] = []
    /// The keys of the objects being written, one run for each.
    private var keys: [Int] = []

    init(storage: JSONStorage, strict: Bool) {
        self.storage = storage
        self.strict = strict
    }

    mutating func run(_ index: Int, omitting omitted: Set<String>) throws(JSONError) {
        output.reserveCapacity(Int(storage.nodes[index].length) + 16)
        if storage.nodes[index].isObject {
            let left = omitted.compactMap { storage.find($0, in: index) }
            try object(index, omitting: left)
        } else {
            try value(index)
        }
    }

    private mutating func value(_ index: Int) throws(JSONError) {
        let node = storage.nodes[index]
        switch node.kind {
        case .null, .bool: output.append(contentsOf: storage.bytes[node.start..<node.end])
        case .integer, .number: try number(index, node)
        case .string: string(node)
        case .array:
            output.append(0x5B)
            var element = index + 1
            for position in 0..<node.childCount {
                if position > 0 { output.append(0x2C) }
                try value(element)
                element = storage.nodes[element].next(after: element)
            }
            output.append(0x5D)
        case .object: try object(index, omitting: [])
        }
    }

    private mutating func string(_ node: JSONNode) {
        let bytes = storage.bytes
        if node.isEscaped {
            let decoded = JSONStringText.decoded(bytes.span, node)
            JSONStringText.appendEscaped(decoded.span, to: &output)
        } else {
            output.append(contentsOf: bytes[node.start..<node.end])
        }
    }

    /// `omitted` holds the indices of values.
    private mutating func object(_ index: Int, omitting omitted: [Int]) throws(JSONError) {
        let base = keys.count
        collectKeys(of: index)
        output.append(0x7B)
        var isFirst = true
        for position in base..<keys.count {
            let key = keys[position]
            if omitted.contains(key + 1) { continue }
            if !isFirst { output.append(0x2C) }
            isFirst = false
            string(storage.nodes[key])
            output.append(0x3A)
            try value(key + 1)
        }
        output.append(0x7D)
        keys.removeLast(keys.count - base)
    }

    /// Appends the object's keys to `keys`, sorted, each once.
    private mutating func collectKeys(of index: Int) {
        let node = storage.nodes[index]
        if node.hasDuplicates {
            keys.append(contentsOf: sortedByDecoding(storage.keys(of: index)))
            return
        }
        let base = keys.count
        let bytes = storage.bytes
        let text = bytes.span
        var isSorted = true
        var hasEscapes = false
        var key = index + 1
        for position in 0..<node.childCount {
            let keyNode = storage.nodes[key]
            hasEscapes = hasEscapes || keyNode.isEscaped
            if position > 0, isSorted {
                isSorted = JSONBytes.precedes(text, storage.nodes[keys[keys.count - 1]].inner, keyNode.inner)
            }
            keys.append(key)
            key = storage.nodes[key + 1].next(after: key + 1)
        }
        if hasEscapes {
            keys.replaceSubrange(base..., with: sortedByDecoding(Array(keys[base...])))
        } else if !isSorted {
            let nodes = storage.nodes
            keys[base...].sort { JSONBytes.precedes(bytes.span, nodes[$0].inner, nodes[$1].inner) }
        }
    }

    private func sortedByDecoding(_ keys: [Int]) -> [Int] {
        let bytes = storage.bytes
        return keys.map { (key: $0, bytes: JSONStringText.decoded(bytes.span, storage.nodes[$0])) }
            .sorted { $0.bytes.lexicographicallyPrecedes($1.bytes) }
            .map(\.key)
    }

    private mutating func number(_ index: Int, _ node: JSONNode) throws(JSONError) {
        let text = storage.bytes[node.start..<node.end]
        let limit = CanonicalJSON.maximumInteger
        if node.kind == .integer {
            let integer = storage.integer(index) ?? 0
            let isNegativeZero = integer == 0 && text.count > 1
            if strict, isNegativeZero || integer > limit || integer < -limit {
                throw JSONError(.notCanonicalNumber, at: node.start)
            }
            if isNegativeZero { output.append(0x30) } else { output.append(contentsOf: text) }
            return
        }
        if strict { throw JSONError(.notCanonicalNumber, at: node.start) }
        if text.contains(where: { $0 | 0x20 == 0x65 }), let double = Double(String(decoding: text, as: UTF8.self)),
            let integer = Int64(exactly: double), integer.magnitude <= limit.magnitude
        {
            JSONNumberText.append(integer, to: &output)
        } else {
            output.append(contentsOf: text)
        }
    }
}
