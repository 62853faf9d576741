public import ClientEncryption
public import Cryptography
internal import MatrixModel
public import SQLDatabase

/// What a client remembers beside its keys: session, position of the sync, rooms, messages to be sent.
public struct ClientStore: Sendable {
    let key: StoreKey
    let random: any RandomSource

    /// For a database that has the tables of ``ClientSchema``.
    public init(key: StoreKey, random: any RandomSource) {
        self.key = key
        self.random = random
    }

    // MARK: Single values

    func value(_ name: String, in connection: any SQLConnection) throws -> JSONValue? {
        guard let row = try connection.query("SELECT value FROM sealed_values WHERE name = \(name)").first else {
            return nil
        }
        return try opened(try row.bytes(0), place: "value \(name)")
    }

    func setValue(_ value: JSONValue?, _ name: String, in connection: any SQLConnection) throws {
        guard let value else {
            try connection.execute("DELETE FROM sealed_values WHERE name = \(name)")
            return
        }
        let sealed = try key.seal(value.serialized(), place: "value \(name)", random: random)
        try connection.execute(
            """
            INSERT INTO sealed_values VALUES (\(name), \(sealed))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            """)
    }

    func opened(_ sealed: [UInt8], place: String) throws -> JSONValue {
        do {
            return try JSONValue.parse(try key.open(sealed, place: place))
        } catch CryptographyError.decryptionFailed {
            throw ClientError.encryption(.wrongStoreKey)
        }
    }

    /// The session; nil before a login. Throws `encryption(.wrongStoreKey)`.
    public func credentials(in connection: any SQLConnection) throws -> Credentials? {
        guard let value = try value("credentials", in: connection) else { return nil }
        return Credentials(
            user: try value.requiredIdentifier("user_id"), device: try value.requiredIdentifier("device_id"),
            accessToken: try value.requiredString("access_token"),
            refreshToken: try value.optionalString("refresh_token"))
    }

    /// Keeps a session.
    public func setCredentials(_ credentials: Credentials, in connection: any SQLConnection) throws {
        try setValue(
            .fields([
                "user_id": .string(credentials.user.text), "device_id": .string(credentials.device.text),
                "access_token": .string(credentials.accessToken),
                "refresh_token": credentials.refreshToken.map { .string($0) },
            ]), "credentials", in: connection)
    }

    func syncToken(in connection: any SQLConnection) throws -> String? {
        try value("sync", in: connection)?["next_batch"]?.string
    }

    /// The sync begins anew: where it was is worth something for what was missed since.
    func loseSyncToken(in connection: any SQLConnection) throws {
        let lost = try syncToken(in: connection) ?? lostSyncToken(in: connection)
        try setValue(lost.map { ["lost": .string($0)] }, "sync", in: connection)
    }

    /// Where the sync was before it had to begin anew, until it has.
    func lostSyncToken(in connection: any SQLConnection) throws -> String? {
        try value("sync", in: connection)?["lost"]?.string
    }

    func setSyncToken(_ token: String, in connection: any SQLConnection) throws {
        try setValue(["next_batch": .string(token)], "sync", in: connection)
    }
}
