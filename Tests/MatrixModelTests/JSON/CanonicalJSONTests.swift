import MatrixModel
import Testing

@Suite("Canonical JSON") struct CanonicalJSONTests {
    @Test func `the vectors are encoded as the specification says`() throws {
        let vectors = try specificationVectors("canonical-json/canonical-json.json").root
        let conversions = try vectors.requiredArray("convert")
        #expect(conversions.count == 24)
        for vector in conversions {
            let input = try document(vector.requiredString("input"))
            let canonical = try CanonicalJSON.encode(input.root, strict: false)
            #expect(text(canonical) == (try vector.requiredString("canonical")))
            #expect(try CanonicalJSON.encode(JSONDocument(canonical).root, strict: true) == canonical)
        }
    }

    @Test func `numbers that room version 6 forbids are refused if strict`() throws {
        let vectors = try specificationVectors("canonical-json/canonical-json.json").root
        for vector in try vectors.requiredArray("invalid_in_room_versions_6_and_later") {
            let event = try document(vector.requiredString("event_json"))
            #expect(throws: JSONError.self) { try CanonicalJSON.encode(event.root, strict: true) }
            _ = try CanonicalJSON.encode(event.root, strict: false)
        }
        for json in try vectors.requiredStrings("valid_in_room_versions_6_and_later") {
            _ = try CanonicalJSON.encode(document(json).root, strict: true)
        }
    }

    @Test func `before room version 6 numbers keep the text they came with`() throws {
        let input = try document("[1.0,1.50,-0,-0.0,1e400,12345678901234567890,2e1,1.5E0]").root
        #expect(
            text(try CanonicalJSON.encode(input, strict: false))
                == "[1.0,1.50,0,-0.0,1e400,12345678901234567890,20,1.5E0]")
    }

    @Test func `keys are sorted by code point, not by UTF-16`() throws {
        let input = try document(#"{"\uD83D\uDC08":1,"ﬀ":2,"b":3,"a":4,"":5,"aa":6,"abcdefghj":7,"abcdefghi":8}"#).root
        let expected = #"{"":5,"a":4,"aa":6,"abcdefghi":8,"abcdefghj":7,"b":3,"ﬀ":2,"🐈":1}"#
        #expect(text(try CanonicalJSON.encode(input, strict: true)) == expected)
        #expect(text(try CanonicalJSON.encode(input.value, strict: true)) == expected)
    }

    @Test func `keys may be left out at the top only, and the last of two counts`() throws {
        let input = try document(#"{"z":{"unsigned":1},"unsigned":2,"a":1,"unsigned":3,"signatures":{},"a":9}"#).root
        let canonical = try CanonicalJSON.encode(input, omitting: ["unsigned", "signatures", "none"], strict: true)
        #expect(text(canonical) == #"{"a":9,"z":{"unsigned":1}}"#)
    }

    @Test func `a value and its text have the same canonical form`() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let value = randomValue(depth: 4, &random)
            let document = try JSONDocument(value.serialized())
            #expect(document.root.value == value)
            let canonical = try CanonicalJSON.encode(value, strict: true)
            #expect(try CanonicalJSON.encode(document.root, strict: true) == canonical)
        }
    }

    @Test func `values that canonical JSON cannot say are refused`() {
        #expect(throws: JSONError.self) { try CanonicalJSON.encode(["a": 1.5], strict: true) }
        #expect(throws: JSONError.self) { try CanonicalJSON.encode([.integer(1 << 53)], strict: true) }
        #expect(throws: JSONError.self) { try CanonicalJSON.encode(.integer(.min), strict: true) }
        #expect(throws: JSONError.self) { try CanonicalJSON.encode(.number(.infinity), strict: false) }
        #expect(throws: Never.self) { try CanonicalJSON.encode(.number(1.5), strict: false) }
    }

    private func randomValue(depth: Int, _ random: inout SystemRandomNumberGenerator) -> JSONValue {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &random) {
        case 0: return .null
        case 1: return .bool(.random(using: &random))
        case 2: return .integer(.random(in: -(1 << 53) + 1..<1 << 53, using: &random))
        case 3: return .integer(.random(in: -20..<20, using: &random))
        case 4: return .string(randomString(&random))
        case 5: return .array((0..<Int.random(in: 0..<5)).map { _ in randomValue(depth: depth - 1, &random) })
        default:
            var object: [String: JSONValue] = [:]
            for _ in 0..<Int.random(in: 0..<12, using: &random) {
                object[randomString(&random)] = randomValue(depth: depth - 1, &random)
            }
            return .object(object)
        }
    }

    private func randomString(_ random: inout SystemRandomNumberGenerator) -> String {
        let alphabet = Array("abcxyz/\"\\\n\t\u{0}\u{1F}\u{7F}日🐈ж")
        return String(
            (0..<Int.random(in: 0..<20, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
    }

    @Test func `an exponent goes only where the number is an integer of canonical JSON`() throws {
        for (number, expected) in [
            ("9007199254740991e0", "9007199254740991"), ("9007199254740992e0", "9007199254740992e0"),
            ("-9007199254740991e0", "-9007199254740991"), ("1e17", "1e17"), ("15e-1", "15e-1"), ("150e-1", "15"),
        ] {
            #expect(text(try CanonicalJSON.encode(document(number).root, strict: false)) == expected)
        }
    }
}
