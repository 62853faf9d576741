import Cryptography
import MatrixModel
import Testing

/// Published vectors, from spec/vectors.
enum Vectors {
    static func read(_ path: String) throws -> JSONValue {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let bytes = try #require(contents("\(root)/spec/vectors/\(path)"))
        return try JSONValue.parse(bytes)
    }
}

extension JSONValue {
    func text(_ key: String) throws -> String { try #require(self[key]?.string) }
    func elements(_ key: String) throws -> [JSONValue] { try #require(self[key]?.array) }
    func hex(_ key: String) throws -> [UInt8] { try #require(Hex.decode(try text(key))) }
    func base64(_ key: String) throws -> [UInt8] { try #require(Base64.decode(try text(key))) }
}

/// A small seeded generator, for choices only: keys come from the system.
struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

let random = SystemRandomSource()
