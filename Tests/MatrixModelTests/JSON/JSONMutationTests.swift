import MatrixModel
import Testing

/// A generator of numbers that are the same in every run.
struct RepeatableRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

@Suite("Damaged JSON") struct JSONMutationTests {
    static let seeds = [
        #"{"type":"m.room.message","content":{"body":"h\u00e9llo \ud83d\udc08 wörld","n":[1,-2,3.5e-7,0,true,null]},"a":{},"a":[]}"#,
        #"[{"key with spaces":"\\\"\n\t","other":{"deep":[[[[{"x":"y"}]]]]}},12345678901234567890,-0,"日本語"]"#,
    ]

    /// Whatever arrives, it is refused, or its canonical form is a fixed point that says the same.
    @Test(arguments: 0..<20)
    func `damage is refused or read, never fatal`(_ number: Int) throws {
        var random = RepeatableRandom(state: UInt64(number))
        let seed = Array(Self.seeds[number % Self.seeds.count].utf8)
        let interesting =
            Array("{}[]\",:\\u0e-+.d89ab \n".utf8) + [0x00, 0x1F, 0x7F, 0x80, 0xC0, 0xE2, 0xED, 0xF4, 0xFF]
        var read = 0
        for _ in 0..<200 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[place] = interesting[Int.random(in: 0..<interesting.count, using: &random)]
                case 1: bytes.insert(interesting[Int.random(in: 0..<interesting.count, using: &random)], at: place)
                case 2: bytes.remove(at: place)
                default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
            }
            guard let document = try? JSONDocument(bytes) else { continue }
            read += 1
            _ = document.root.value
            let canonical = try CanonicalJSON.encode(document.root, strict: false)
            let again = try JSONDocument(canonical)
            #expect(!again.hasDuplicateKeys)
            #expect(try CanonicalJSON.encode(again.root, strict: false) == canonical)
            // A reader of strings alone must agree that it is UTF-8.
            #expect(String(validating: bytes, as: UTF8.self) != nil)
        }
        #expect(read > 0)
    }
}
