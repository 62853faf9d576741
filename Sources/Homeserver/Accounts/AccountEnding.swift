internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Ends an account for good: rights, devices, rooms, and on wish all that was kept for the user.
struct AccountEnding: Sendable {
    let environment: Environment
    let sessions: DeviceSessions
    let departure: (any RoomDeparting)?

    /// The rooms are left last, for that may take long; the account is closed by then.
    func deactivate(_ user: UserID, erase: Bool) async throws {
        let sealer = environment.sealer
        try await environment.database.write { connection in
            try AccountStore(connection).deactivate(user, erase: erase)
            try sessions.endAll(of: user, in: connection)
            try PusherStore(connection).removeAll(of: user)
            try ShortLivedTokenStore(connection, .login).deleteAll(of: user)
            try ShortLivedTokenStore(connection, .openID).deleteAll(of: user)
            if erase {
                try ProfileStore(connection).deleteAll(of: user)
                try AccountDataStore(connection, sealer).deleteAll(of: user)
                try ThreadSubscriptionStore(connection).deleteAll(of: user)
                try FilterStore(connection).deleteAll(of: user)
                try KeyBackupStore(connection).deleteAll(of: user)
                try ConsentStore(connection).deleteAll(of: user)
            }
            try connection.notify("tokens \(user.text)")
        }
        sessions.authenticator.forget(user)
        await departure?.leaveAllRooms(user)
    }
}
