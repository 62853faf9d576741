public import Cryptography
public import MatrixModel

/// A server that exists only by its name and key. The key follows from the name.
public struct TestServer: Sendable {
    /// The server's name.
    public let name: ServerName
    /// The id of its key.
    public let keyID = "ed25519:test"
    /// Its signing key.
    public let key: Ed25519.SigningKey

    /// The server of a name.
    public init(_ name: ServerName) {
        self.name = name
        key = Ed25519.SigningKey.generate(NamedRandomSource(name: name.text))
    }

    /// The server of a user.
    public init(of user: UserID) { self.init(user.serverName) }
}

/// Bytes that follow from a name, for keys of tests.
private struct NamedRandomSource: RandomSource {
    let name: String

    func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count { bytes += SHA256.hash(Array("\(name) \(bytes.count)".utf8)) }
        return Array(bytes.prefix(count))
    }
}

/// The people of our tests: Alice makes rooms, Bob is on another server, Mallory means no good.
extension UserID {
    /// Makes rooms; on `one.test`.
    public static let alice = testUser("@alice:one.test")
    /// On `two.test`.
    public static let bob = testUser("@bob:two.test")
    /// On Alice's server.
    public static let carol = testUser("@carol:one.test")
    /// On `three.test`.
    public static let mallory = testUser("@mallory:three.test")

    /// A user of a test, by an id that is known to be one.
    public static func testUser(_ text: String) -> UserID {
        guard let user = try? UserID(text) else { fatalError("\(text) is no user id") }
        return user
    }
}
