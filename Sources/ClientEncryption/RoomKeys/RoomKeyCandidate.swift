internal import MatrixModel
internal import SQLDatabase

/// A device with all that decides whether it gets room keys. Those of a whole room are read at once: it may have thousands.
struct RoomKeyCandidate {
    let device: KnownDevice
    /// Before this time its one-time keys are not claimed, in milliseconds since 1970.
    let claimAt: Int64
    private let isCrossSigned: Bool
    private let hasIdentity: Bool
    private let isOwnerVerified: Bool

    /// Whether it gets them under this setting.
    func entitlement(under sharing: KeySharing) -> EncryptionMachine.Entitlement {
        guard !device.isBlocked else { return .withheld(.blacklisted) }
        let mayHave =
            switch sharing {
            case .allDevices: true
            case .crossSignedWherePossible: isCrossSigned || !hasIdentity
            case .crossSignedDevices: isCrossSigned
            case .verifiedUsers: isCrossSigned && isOwnerVerified
            }
        return mayHave ? .entitled : .withheld(.unverified)
    }

    fileprivate init(_ row: SQLRow, signer: String?, isOurs: Bool, isOwnTrusted: Bool) throws {
        device = try KnownDevice(row)
        claimAt = try row.integer(8)
        isCrossSigned = try row.bool(9)
        hasIdentity = try row.bool(10)
        let vouchedBy = try row.optionalText(11)
        isOwnerVerified = isOwnTrusted && (isOurs || (vouchedBy != nil && vouchedBy == signer))
    }
}

extension EncryptionMachine {
    /// Devices of `users` that are there now and fulfil the condition, a user's together.
    func candidates(
        among users: some Sequence<UserID>, where condition: SQL = "1 = 1", in connection: any SQLConnection
    ) throws -> [RoomKeyCandidate] {
        try askAbout(users) { names in
            try candidates(where: "user_id IN \(list: names) AND gone = 0 AND \(condition)", in: connection)
        }
    }

    /// Devices that fulfil the condition.
    func candidates(where condition: SQL, in connection: any SQLConnection) throws -> [RoomKeyCandidate] {
        let own = try identity(of: user, in: connection)
        return try connection.query(
            """
            SELECT \(KnownDevice.columns), claim_at, \(Self.isCrossSigned),
                EXISTS (SELECT 1 FROM user_identities WHERE user_identities.user_id = devices.user_id),
                (SELECT vouched_by FROM user_identities WHERE user_identities.user_id = devices.user_id)
            FROM devices WHERE \(condition) ORDER BY user_id, device_id
            """
        ).map { row in
            try RoomKeyCandidate(
                row, signer: own?.userSigning, isOurs: try row.text(0) == user.text,
                isOwnTrusted: own.map { $0.verified == $0.master } ?? false)
        }
    }

    /// Asks about users, so many in a statement. The answers are in the order of the users' ids.
    func askAbout<R>(_ users: some Sequence<UserID>, _ ask: ([String]) throws -> [R]) rethrows -> [R] {
        var answers: [R] = []
        var rest = Set(users.map(\.text)).sorted()[...]
        while !rest.isEmpty {
            answers += try ask(Array(rest.prefix(Limits.usersPerStatement)))
            rest = rest.dropFirst(Limits.usersPerStatement)
        }
        return answers
    }
}
