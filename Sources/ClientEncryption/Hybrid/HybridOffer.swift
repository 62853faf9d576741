internal import MatrixModel
internal import SQLDatabase

/// What a device's signed keys have said of the post-quantum key agreement.
enum HybridOffer: Int64, Sendable {
    case never = 0
    /// They name it.
    case offered = 1
    /// They did once, and do no more.
    case withdrawn = 2
}

extension EncryptionMachine {
    /// Remembers what a device's keys offer, which are those pinned.
    /// - Returns: the offer if it has changed.
    @discardableResult
    func takeOffer(of keys: DeviceKeys, in connection: any SQLConnection) throws -> HybridOffer? {
        if keys.user == user, keys.device == device {
            try comparePublished(keys, in: connection)
            return nil
        }
        guard let known = try knownDevice(keys.user, keys.device, in: connection),
            (known.offer == .offered) != keys.offersHybrid, known.offer != .withdrawn || keys.offersHybrid
        else { return nil }
        let offer = keys.offersHybrid ? HybridOffer.offered : .withdrawn
        try connection.execute(
            """
            UPDATE devices SET hybrid_offer = \(offer.rawValue), hybrid_claim_at = 0, hybrid_claim_failures = 0
            WHERE user_id = \(keys.user.text) AND device_id = \(keys.device.text)
            """)
        return offer
    }

    /// For the log.
    static func withdrawal(of user: UserID, _ device: DeviceID) -> String {
        """
        \(user)'s device \(device) offered the post-quantum key agreement and does no more: it was switched off there, or the \
        server shows older keys
        """
    }

    /// The server shows other keys of this device than it was given last: an older state, perhaps because this store was put
    /// back. They are published again, once an hour at most.
    private func comparePublished(_ keys: DeviceKeys, in connection: any SQLConnection) throws {
        try connection.execute(
            """
            UPDATE olm_account SET hybrid_offered = \(keys.offersHybrid) WHERE hybrid_offered <> \(keys.offersHybrid)
            """)
    }
}
