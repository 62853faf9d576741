public import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// End-to-end encryption of one device, without a network: what a sync brought goes in, calls to be made come out.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption>
///
/// All state is in the store. Each method works in the transaction of the connection it is given, so a ratchet's step
/// is durable when that transaction is: commit first, then let the ciphertext leave. Methods throw ``EncryptionError``
/// and `DatabaseError`; what was refused has changed nothing once the transaction is undone.
public struct EncryptionMachine: Sendable {
    /// Whose device this is.
    public let user: UserID
    /// This device.
    public let device: DeviceID
    let key: StoreKey
    let random: any RandomSource
    let now: @Sendable () -> Int64

    /// A machine on a store that has the tables of ``EncryptionSchema``. `now` gives milliseconds since 1970.
    public init(
        user: UserID, device: DeviceID, key: StoreKey, random: any RandomSource, now: @escaping @Sendable () -> Int64
    ) {
        self.user = user
        self.device = device
        self.key = key
        self.random = random
        self.now = now
    }

    /// Makes the device's keys if there are none, else opens them. Throws `wrongStoreKey` under another key.
    public func begin(in connection: any SQLConnection) throws {
        guard try connection.query("SELECT 1 FROM olm_account").isEmpty else {
            _ = try account(in: connection)
            return
        }
        var account = OlmAccount(random: random)
        account.generateFallbackKey(random: random)
        let pickle = try account.pickle(key: key.bytes, random: random)
        try connection.execute(
            """
            INSERT INTO olm_account (id, pickle, uploaded, fallback_unused, generation, began_at, fallback_made_at)
            VALUES (1, \(pickle), 0, 0, 0, \(now()), \(now()))
            """)
        try track([user], in: connection)
    }

    /// The base64 of this device's `ed25519` key.
    public func fingerprint(in connection: any SQLConnection) throws -> String {
        Base64.encode(try account(in: connection).ed25519Key.bytes)
    }

    func account(in connection: any SQLConnection) throws -> OlmAccount {
        guard let row = try connection.query("SELECT pickle FROM olm_account").first else {
            throw EncryptionError.damagedStore(what: "the account")
        }
        do {
            return try OlmAccount(pickle: try row.bytes(0), key: key.bytes)
        } catch RatchetError.cannotOpen {
            throw EncryptionError.wrongStoreKey
        }
    }

    func save(_ account: OlmAccount, in connection: any SQLConnection) throws {
        let pickle = try account.pickle(key: key.bytes, random: random)
        try connection.execute("UPDATE olm_account SET pickle = \(pickle)")
    }

    /// Whether the time of another try has come. A time that lies too far ahead was set by a clock that went wrong.
    func isDue(_ time: Int64, at now: Int64) -> Bool { time <= now || time > now + Limits.longestRetryMilliseconds }

    /// When to try again after so many failures in a row.
    func retryTime(after failures: Int64) -> Int64 {
        let pause = Limits.claimRetryMilliseconds << min(max(failures - 1, 0), 10)
        return now() + min(pause, Limits.longestRetryMilliseconds)
    }

    /// A number that grows with each call.
    func nextGeneration(in connection: any SQLConnection) throws -> Int64 {
        try connection.query("UPDATE olm_account SET generation = generation + 1 RETURNING generation").first?
            .integer(0) ?? 0
    }
}
