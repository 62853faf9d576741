internal import ClientEncryption
internal import Logging
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// A device on the server that takes room keys while no other is there. Off unless somebody makes one.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
extension Client {
    /// Makes a dehydrated device in place of the one there is, and puts its key into secret storage, which `text` opens: a
    /// recovery key or passphrase. Throws `encryption(.wrongRecoveryKey)`, `encryption(.cannotSign)`, and `usage` where the key
    /// of secret storage is one that nothing should be sealed under.
    public func dehydrate(_ text: String) async throws -> DeviceID {
        _ = try await crossSigningStatus()
        let (description, key) = try await secretStorage(text)
        guard description.isFitForSealing else {
            throw ClientError.usage(
                """
                the server shows a recovery key that cannot be checked, or whose passphrase is easily guessed: make a new \
                one with "fedchat recovery create"
                """)
        }
        let (machine, random) = (machine, random)
        let upload = try await database.write { try machine.dehydration(in: $0) }
        let secrets = try await database.read { try machine.secretsInUse(in: $0) }
        let name = SecretName.dehydratedDevice
        if let secret = secrets[name] {
            let content = try await accountData(name.rawValue) ?? [:]
            try await setAccountData(
                name.rawValue,
                try description.sealing(secret, name.rawValue, with: key, in: content, random: random))
        }
        return try await call(upload).requiredIdentifier("device_id")
    }

    /// Takes the room keys that came for the dehydrated device, and deletes it. Returns how many are new; nil where there is
    /// no such device, or its key is not here.
    public func rehydrate() async throws -> Int? {
        let machine = machine
        let answer: JSONView
        do {
            answer = try await call(APICall(.getDehydratedDevice))
        } catch ClientError.server(let refusal) where refusal.status == 404 {
            return nil
        }
        guard var device = try await database.read({ try machine.rehydration(answer, in: $0) }) else { return nil }
        var (keys, next): ([SyncOutcome.RoomKey], String?) = ([], nil)
        for _ in 0..<ClientLimits.dehydratedPages {
            let page = try await call(
                APICall(
                    .getDehydratedDeviceEvents, ["deviceId": device.device.text],
                    query: next.map { [("next_batch", $0)] } ?? []))
            let events = try page.requiredArray("events")
            guard !events.isEmpty else { break }
            let before = device
            let (after, outcome) = try await database.write { connection in
                var device = before
                let outcome = try machine.rehydrate(&device, events, in: connection)
                return (device, outcome)
            }
            device = after
            report(outcome)
            keys += outcome.roomKeys
            guard let following = page["next_batch"]?.string, following != next else { break }
            next = following
        }
        announce(keys)
        _ = try await call(APICall(.deleteDehydratedDevice))
        return keys.count
    }
}
