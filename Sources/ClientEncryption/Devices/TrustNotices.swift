internal import MatrixModel
public import SQLDatabase

/// What comes up of devices and identities after their owner was met. At the first sight of somebody everything is as it is:
/// nothing of that is told.
extension EncryptionMachine {
    /// Whether the user's devices were known before.
    func isMet(_ user: UserID, in connection: any SQLConnection) throws -> Bool {
        try !connection.query(
            """
            SELECT 1 FROM tracked_users WHERE user_id = \(user.text) AND current > 0
            UNION ALL SELECT 1 FROM devices WHERE user_id = \(user.text) LIMIT 1
            """
        ).isEmpty
    }

    /// A device came up at somebody who was met before.
    func noteNewDevice(_ keys: DeviceKeys, in connection: any SQLConnection) throws {
        guard !(keys.user == user && keys.device == device) else { return }
        try connection.execute(
            """
            INSERT INTO trust_notices VALUES (\(keys.user.text), \(keys.device.text), \(now()), 0)
            ON CONFLICT (user_id, device_id) DO NOTHING
            """)
    }

    /// An identity came up at somebody who was met before, or in place of another. Nothing is due where it is verified.
    func noteNewIdentity(of user: UserID, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO trust_notices VALUES (\(user.text), '', \(now()), 0)
            ON CONFLICT (user_id, device_id) DO UPDATE SET seen_at = excluded.seen_at, told = 0
            """)
    }

    /// Our user knows of it: it is not told any more.
    func forgetNotice(of user: UserID, _ device: DeviceID?, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO trust_notices VALUES (\(user.text), \(device?.text ?? ""), \(now()), 1)
            ON CONFLICT (user_id, device_id) DO UPDATE SET told = 1
            """)
    }

    /// Notices end with the devices that they are of.
    func forgetNoticesOfForgottenDevices(of user: UserID, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            DELETE FROM trust_notices WHERE user_id = \(user.text) AND device_id <> '' AND NOT EXISTS (
                SELECT 1 FROM devices
                WHERE devices.user_id = trust_notices.user_id AND devices.device_id = trust_notices.device_id)
            """)
    }

    /// What is to be told now, and counts as told from now on.
    public func takeTrustNotices(in connection: any SQLConnection) throws -> [TrustNotice] {
        let notices = try trustNotices(in: connection)
        for notice in notices { try mark(notice, isTold: true, in: connection) }
        return notices
    }

    /// Nobody has read them: they are to be told again.
    public func putBack(_ notices: some Sequence<TrustNotice>, in connection: any SQLConnection) throws {
        for notice in notices { try mark(notice, isTold: false, in: connection) }
    }

    private func mark(_ notice: TrustNotice, isTold: Bool, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE trust_notices SET told = \(isTold) WHERE user_id = \(notice.user.text)
                AND device_id = \(notice.device?.text ?? "")
            """)
    }

    /// What is to be told now, of our own account first. What is more than can be told at once follows when this was told.
    public func trustNotices(in connection: any SQLConnection) throws -> [TrustNotice] {
        // Signed by now: it needs no word.
        let rows = try connection.query(
            """
            SELECT user_id, device_id FROM trust_notices WHERE told = 0 AND NOT EXISTS (
                SELECT 1 FROM devices WHERE devices.user_id = trust_notices.user_id
                    AND devices.device_id = trust_notices.device_id AND \(Self.isCrossSigned))
            ORDER BY CASE WHEN user_id = \(user.text) THEN 0 ELSE 1 END, seen_at, user_id, device_id
            """)
        var found: [TrustNotice] = []
        for row in rows where found.count < Limits.noticesAtOnce {
            let (owner, name) = (try UserID(try row.text(0)), try row.text(1))
            let notice =
                name.isEmpty
                ? try identityNotice(of: owner, in: connection)
                : try deviceNotice(of: owner, try DeviceID(name), in: connection)
            if let notice { found.append(notice) }
        }
        return found
    }

    private func deviceNotice(
        of owner: UserID, _ name: DeviceID, in connection: any SQLConnection
    ) throws -> TrustNotice? {
        guard let device = try knownDevice(owner, name, in: connection),
            try !isLocallyVerified(device, in: connection)
        else { return nil }
        let isGone = try !devices(of: owner, in: connection).contains { $0.device == name }
        return TrustNotice(
            kind: .newDevice, user: owner, isOwn: owner == user, device: name, key: device.ed25519,
            getsKeys: try entitlement(of: device, in: connection) == .entitled, isGone: isGone)
    }

    private func identityNotice(
        of owner: UserID, in connection: any SQLConnection
    ) throws -> TrustNotice? {
        guard let identity = try identity(of: owner, in: connection), try !isVerified(owner, in: connection) else {
            return nil
        }
        return TrustNotice(
            kind: .newIdentity, user: owner, isOwn: owner == user, device: nil, key: identity.master, getsKeys: false,
            isGone: false)
    }
}
