internal import Cryptography
public import MatrixModel
internal import Ratchet
public import SQLDatabase

/// What is kept of devices: the keys that each showed first.
extension EncryptionMachine {
    /// Pins a device at its first sight; refuses other keys afterwards. If its owner `isMet`, it is a new one.
    func keep(_ keys: DeviceKeys, isMet: Bool, in connection: any SQLConnection) throws -> ChangedKey? {
        let curve = Base64.encode(keys.curve25519.bytes)
        let ed = Base64.encode(keys.ed25519.bytes)
        if keys.user == user, keys.device == device {
            let account = try account(in: connection)
            guard keys.ed25519 == account.ed25519Key, keys.curve25519 == account.curve25519Key else {
                return ChangedKey(user: user, device: device)
            }
        }
        guard let known = try knownDevice(keys.user, keys.device, in: connection) else {
            try connection.execute(
                """
                INSERT INTO devices (user_id, device_id, curve25519, ed25519, gone, changed, display_name, first_seen,
                    claim_at, unwedge_wanted, unwedged_at)
                VALUES (\(keys.user.text), \(keys.device.text), \(curve), \(ed), 0, 0, \(keys.displayName), \(now()), 0,
                    \(try isWedged(keys.user, curve, in: connection)), 0)
                """)
            if isMet { try noteNewDevice(keys, in: connection) }
            // It was perhaps there already when the last messages were sent.
            try oweRecentMessages(to: keys.user, in: connection)
            return nil
        }
        let isSame = known.curve25519 == curve && known.ed25519 == ed
        try connection.execute(
            """
            UPDATE devices SET gone = 0, changed = \(isSame ? 0 : 1), display_name = \(keys.displayName)
            WHERE user_id = \(keys.user.text) AND device_id = \(keys.device.text)
            """)
        return isSame ? nil : ChangedKey(user: keys.user, device: keys.device)
    }

    func knownDevice(
        _ user: UserID, _ device: DeviceID, in connection: any SQLConnection
    ) throws -> KnownDevice? {
        try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE user_id = \(user.text) AND device_id = \(device.text)
            """
        ).first.map(KnownDevice.init)
    }

    /// The device of `user` with this identity key, present or gone.
    func knownDevice(
        _ user: UserID, curve25519: String, in connection: any SQLConnection
    ) throws -> KnownDevice? {
        try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE user_id = \(user.text) AND curve25519 = \(curve25519)
            ORDER BY gone, device_id
            """
        ).first.map(KnownDevice.init)
    }

    /// The devices of a user that are there now.
    public func devices(of user: UserID, in connection: any SQLConnection) throws -> [KnownDevice] {
        try connection.query(
            """
            SELECT \(KnownDevice.columns) FROM devices WHERE user_id = \(user.text) AND gone = 0 ORDER BY device_id
            """
        ).map(KnownDevice.init)
    }

    /// Forgets the keys first seen of a device, at the user's own word: the present ones are taken at the next query.
    public func acceptNewKeys(of user: UserID, _ device: DeviceID, in connection: any SQLConnection) throws {
        try connection.execute(
            "DELETE FROM devices WHERE user_id = \(user.text) AND device_id = \(device.text)")
        try forgetNotice(of: user, device, in: connection)
        try track([user], in: connection)
        try noteChangedUsers([user], in: connection)
    }

    /// Forgets the oldest devices that are gone, but none that our user has verified or blocked or that is to be signed: a
    /// server could else show so many others that the device comes back as a new one, under keys of the server's. Of others
    /// those that their owner has signed stay longest.
    func forgetGoneDevices(of user: UserID, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            DELETE FROM devices WHERE user_id = \(user.text) AND gone = 1 AND blocked = 0
                AND device_id NOT IN (SELECT device_id FROM verified_devices WHERE user_id = \(user.text))
                AND device_id NOT IN (SELECT key_id FROM signatures_due WHERE user_id = \(user.text))
                AND device_id NOT IN (
                    SELECT device_id FROM devices WHERE user_id = \(user.text) AND gone = 1
                    ORDER BY CASE WHEN device_id IN (
                        SELECT device_id FROM signed_devices WHERE user_id = \(user.text)) THEN 0 ELSE 1 END,
                        first_seen DESC, device_id
                    LIMIT \(Limits.goneDevicesPerUser))
            """)
        try forgetNoticesOfForgottenDevices(of: user, in: connection)
    }

    /// Nothing is sent to a blocked device: it is told `m.blacklisted`.
    /// - Returns: whether there is such a device.
    public func setBlocked(
        _ isBlocked: Bool, _ user: UserID, _ device: DeviceID, in connection: any SQLConnection
    ) throws -> Bool {
        try connection.execute(
            """
            UPDATE devices SET blocked = \(isBlocked)
            WHERE user_id = \(user.text) AND device_id = \(device.text)
            """) > 0
    }
}
