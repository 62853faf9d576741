import MatrixModel
import Testing

@Suite("JSON documents") struct JSONDocumentTests {
    @Test(
        arguments: [
            "null", "true", " false ", "0", "-0", "-1", "10", "1.5", "1e5", "1E+5", "-1.25e-3", "\"\"", "[]", "{}",
            "[ ]", "{ }", "[1,2]", "[[],{}]", "{\"a\":{\"b\":[1,{}]}}", "\t\n\r [ 1 , 2 ] ", "\"\\u0000\"",
            "\"\\ud83d\\udc08\"", "\"é日🐈\"", "\"\u{7F}\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\u{10FFFF}\"",
        ])
    func `what RFC 8259 allows is read`(_ json: String) throws {
        #expect(text(try document(json).bytes) == json)
    }

    @Test(
        arguments: [
            "", " ", "nul", "nulll", "True", "+1", "01", "-", "-a", "1.", ".5", "1e", "1e+", "0x1", "NaN", "Infinity",
            "\"", "\"abc", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\n\"", "\"\u{1}\"", "[", "[1", "[1,",
            "[1,]",
            "[,]", "[1 2]", "]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}",
            "{\"a\" 1}", "{,}", "[}", "{]", "[1}", "{\"a\":1]", "1 2", "{} x", "'a'", "// c\n1", "\u{FEFF}1", "\\u0041",
        ])
    func `what RFC 8259 does not allow is refused`(_ json: String) {
        #expect(throws: JSONError.self) { try document(json) }
    }

    @Test(
        arguments: [
            "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"",
            "{\"\\ud83d\":1}", "\"\\ud83d\\u\"", "\"\\ud83d",
        ])
    func `half a surrogate pair is refused`(_ json: String) {
        #expect(throws: JSONError.self) { try document(json) }
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC2], [0xC2, 0x41], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
            [0xE2, 0x82],
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80],
            [0xF5, 0x80, 0x80, 0x80], [0xFF], [0xE2, 0x82, 0x22],
        ] as [[UInt8]])
    func `what is not UTF-8 is refused, wherever it stands`(_ bytes: [UInt8]) {
        for padding in 0...9 {
            let padded = [0x22] + [UInt8](repeating: 0x61, count: padding) + bytes
            #expect(throws: JSONError.self) { try JSONDocument(padded + [0x22]) }
            #expect(throws: JSONError.self) { try JSONDocument(padded + Array("tail of it\"".utf8)) }
            #expect(throws: JSONError.self) { try JSONDocument(padded) }
        }
    }

    @Test func `a text cut short anywhere is refused`() throws {
        let json = Array(#"{"a":[1,-2.5e3,true,null,"é\u00e9\ud83d\udc08x"],"longer key":{"b":"cdefghijkl"}}"#.utf8)
        _ = try JSONDocument(json)
        for length in 0..<json.count {
            #expect(throws: JSONError.self) { try JSONDocument(Array(json[..<length])) }
        }
    }

    @Test func `depth, size and number of values are bounded`() throws {
        let limits = JSONLimits(maximumBytes: 400, maximumDepth: 100, maximumNodes: 150)
        func nested(_ depth: Int) -> [UInt8] {
            [UInt8](repeating: 0x5B, count: depth) + [UInt8](repeating: 0x5D, count: depth)
        }
        _ = try JSONDocument(nested(100), limits: limits)
        #expect(throws: JSONError(.tooDeep, at: 100)) { try JSONDocument(nested(101), limits: limits) }
        #expect(throws: JSONError(.tooLarge, at: 400)) { try JSONDocument(nested(201), limits: limits) }
        let many = Array(("[" + String(repeating: "1,", count: 149) + "1]").utf8)
        #expect(throws: JSONError(.tooManyNodes, at: 299)) { try JSONDocument(many, limits: limits) }
        #expect(throws: JSONError.self) { try JSONDocument([UInt8](repeating: 0x5B, count: 1_000_000)) }
    }

    @Test func `values are read through views`() throws {
        let root = try document(
            #"{"s":"té","i":-12,"f":1.5,"t":true,"n":null,"a":[1,[2],{"x":3}],"o":{"k":{"d":"deep"}},"a\u0062c":4}"#
        ).root

        #expect(root["s"]?.string == "té")
        #expect(root["i"]?.integer == -12)
        #expect(root["i"]?.double == -12)
        #expect(root["f"]?.double == 1.5)
        #expect(root["f"]?.integer == nil)
        #expect(root["t"]?.bool == true)
        #expect(root["n"]?.isNull == true)
        #expect(root["a"]?.count == 3)
        #expect(root["a"]?.elements[1].elements.first?.integer == 2)
        #expect(root["a"]?.elements.last?["x"]?.integer == 3)
        #expect(root["o", "k", "d"]?.string == "deep")
        #expect(root[path: ["o", "k", "d"]]?.string == "deep")
        #expect(root["abc"]?.integer == 4)
        #expect(root["missing"] == nil)
        #expect(root["s"]?["x"] == nil)
        #expect(root.members.map(\.key) == ["s", "i", "f", "t", "n", "a", "o", "abc"])
        #expect(root["o"].map { text($0.rawBytes) } == #"{"k":{"d":"deep"}}"#)
        #expect(root["a"].map { text($0.rawBytes) } == #"[1,[2],{"x":3}]"#)
    }

    @Test(arguments: ["", "a", "abcdefg", "abcdefgh", "abcdefghi", "a longer key with many bytes", "ключ", "\"\\\n"])
    func `a key of any length is found among others like it`(_ key: String) throws {
        var writer = JSONWriter()
        writer.beginObject()
        for (index, other) in [key + "x", "x" + key, key, key + "yy"].enumerated() {
            writer.key(other)
            writer.integer(index)
        }
        writer.endObject()

        #expect(try JSONDocument(writer.bytes).root[key]?.integer == 2)
    }

    @Test func `integers are those that fit 64 bits`() throws {
        let root = try document(
            "[9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,-0,100000000000000000000]"
        ).root.elements
        #expect(root.map(\.kind) == [.integer, .integer, .number, .number, .integer, .number])
        #expect(root[0].integer == .max)
        #expect(root[1].integer == .min)
        #expect(root[2].integer == nil)
        #expect(root[4].integer == 0)
        #expect(root[5].double == 1e20)
    }

    @Test(arguments: [
        #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":3}"#, #"{"\u0061":1,"b":5,"a":3}"#, #"{"a":{"a":1},"a":3}"#,
    ])
    func `of a key that stands twice the last counts, and the document says so`(_ json: String) throws {
        let document = try document(json)
        #expect(document.hasDuplicateKeys)
        #expect(document.root["a"]?.integer == 3)
        #expect(document.root.members.filter { $0.key == "a" }.map(\.value.integer) == [3])
        #expect(document.root.value["a"] == 3)
        #expect(document.root.count == document.root.members.count)
    }

    @Test func `duplicates are noticed below and among many keys, and nowhere else`() throws {
        let keys = (0..<1_000).map { "\"key \($0)\":\($0)" }.joined(separator: ",")
        #expect(try !document("{\(keys)}").hasDuplicateKeys)
        #expect(try document("{\(keys),\"key 7\":-1}").hasDuplicateKeys)
        #expect(try document("{\(keys),\"key 7\":-1}").root["key 7"]?.integer == -1)
        let nested = try document(#"{"x":{"a":1},"y":[{"b":1,"b":2}]}"#)
        #expect(nested.hasDuplicateKeys)
        #expect(!nested.root.hasDuplicateKeys)
        #expect(nested.root["x"]?.hasDuplicateKeys == false)
        #expect(nested.root["y"]?.elements.first?.hasDuplicateKeys == true)
        #expect(try !document(#"{"a":{"a":1},"b":{"a":1}}"#).hasDuplicateKeys)
    }

    @Test func `keys whose hashes were made equal are still told apart`() throws {
        // The hash looks at the first and last eight bytes only.
        let keys = (0..<100).map { "\"12345678-\(100 + $0)-12345678\":\($0)" }.joined(separator: ",")
        let document = try document("{\(keys)}")
        #expect(!document.hasDuplicateKeys)
        #expect(document.root["12345678-142-12345678"]?.integer == 42)
    }

    @Test func `a malformed field fails only who asks for it`() throws {
        let root = try document(#"{"name":1,"list":["a",2],"user":"@a:b","bad":"b"}"#).root
        #expect(throws: MalformedField("name", expected: "a string")) { try root.requiredString("name") }
        #expect(throws: MalformedField("name", expected: "a string")) { try root.optionalString("name") }
        #expect(try root.optionalString("none") == nil)
        #expect(try root.requiredInteger("name") == 1)
        #expect(throws: MalformedField("list", expected: "an array of strings")) { try root.requiredStrings("list") }
        #expect(try root.requiredIdentifier("user", as: UserID.self).localpart == "a")
        #expect(throws: MalformedField("bad", expected: "a user ID")) {
            try root.requiredIdentifier("bad", as: UserID.self)
        }
    }
}
