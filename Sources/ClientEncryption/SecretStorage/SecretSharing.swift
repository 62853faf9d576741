internal import Cryptography
internal import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Secrets asked of our other verified devices, and given to them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sharing>
extension EncryptionMachine {
    /// Takes a secret in, from secret storage or another device, if it is what it should be: a cross-signing key that the
    /// server shows, or the key of the backup that is in use.
    /// - Returns: whether it was taken.
    @discardableResult
    public func take(_ text: String, as name: SecretName, in connection: any SQLConnection) throws -> Bool {
        guard let bytes = Base64.decode(text), bytes.count == 32 else { return false }
        switch name {
        case .backup:
            guard let key = try? BackupKey(bytes) else { return false }
            // Which backup it opens is seen when that is known.
            if let backup = try backup(in: connection), backup.publicKey != Base64.encode(key.publicKey.bytes) {
                return false
            }
        case .dehydratedDevice: break
        case .master, .selfSigning, .userSigning:
            guard let own = try identity(of: user, in: connection), let key = try? Ed25519.SigningKey(seed: bytes)
            else { return false }
            let shown = name == .master ? own.master : name == .selfSigning ? own.selfSigning : own.userSigning
            guard Base64.encode(key.publicKey.bytes) == shown else { return false }
        }
        try keep(bytes, as: name, in: connection)
        if name == .master { try reviewOwnIdentity(in: connection) }
        if name == .selfSigning { try signThisDevice(in: connection) }
        return true
    }

    /// The secrets that this device holds and that are those in use, as text for secret storage.
    public func secretsInUse(in connection: any SQLConnection) throws -> [SecretName: String] {
        var secrets: [SecretName: String] = [:]
        for (name, usage) in [
            (SecretName.master, CrossSigningKey.Usage.master), (.selfSigning, .selfSigning),
            (.userSigning, .userSigning),
        ] {
            if let key = try signingKey(usage, in: connection) { secrets[name] = Base64.encode(key.seed) }
        }
        if let key = try backupKey(in: connection) { secrets[.backup] = Base64.encode(key.bytes) }
        if let key = try secret(.dehydratedDevice, in: connection) { secrets[.dehydratedDevice] = Base64.encode(key) }
        return secrets
    }

    // MARK: Asking

    /// Asks our other devices for the secrets of `names` that are missing, each once in a while. Only a device that trusts
    /// our identity can tell a true answer from a false one. The key of a dehydrated device is asked for only by name: few
    /// have one.
    public func requestMissingSecrets(
        _ names: Set<SecretName> = [.master, .selfSigning, .userSigning, .backup], in connection: any SQLConnection
    ) throws {
        try connection.execute(
            """
            DELETE FROM secret_requests
            WHERE \(Period.isOver(Limits.secretRequestMilliseconds, since: "asked_at", at: now()))
            """)
        guard try isVerified(user, in: connection) else { return }
        let held = try secretsInUse(in: connection)
        for name in SecretName.allCases where held[name] == nil && names.contains(name) {
            guard try connection.query("SELECT 1 FROM secret_requests WHERE name = \(name.rawValue)").isEmpty else {
                continue
            }
            let id = random.token(24)
            try connection.execute("INSERT INTO secret_requests VALUES (\(id), \(name.rawValue), \(now()))")
            try sendToOwnDevices(
                "m.secret.request",
                [
                    "action": "request", "name": .string(name.rawValue), "request_id": .string(id),
                    "requesting_device_id": .string(device.text),
                ], in: connection)
        }
    }

    /// In the clear: it names secrets, but tells none.
    private func sendToOwnDevices(_ type: String, _ content: JSONValue, in connection: any SQLConnection) throws {
        let others = try devices(of: user, in: connection).filter { $0.device != device && !$0.isBlocked }
        try enqueue(content, type: type, to: user, others.map(\.device), in: connection)
    }

    /// Takes `m.secret.send` in: from a verified device of ours that we asked.
    func takeSecret(_ payload: OlmPayload, in connection: any SQLConnection) throws -> SecretName? {
        let content = payload.content
        guard payload.sender == user, let id = content["request_id"]?.string, let text = content["secret"]?.string,
            text.utf8.count <= Limits.secretBytes
        else { throw EncryptionError.malformed(path: "m.secret.send") }
        let curve = Base64.encode(payload.senderKey.bytes)
        guard let sender = try devices(of: user, in: connection).first(where: { $0.curve25519 == curve }),
            sender.ed25519 == Base64.encode(payload.ed25519.bytes), try isOwnVerified(sender, in: connection),
            !sender.isBlocked
        else { throw EncryptionError.mismatch(rule: "secrets come from our own verified devices") }
        guard let row = try connection.query("SELECT name FROM secret_requests WHERE request_id = \(id)").first,
            let name = SecretName(rawValue: try row.text(0))
        else { throw EncryptionError.mismatch(rule: "secrets are asked for") }
        guard try take(text, as: name, in: connection) else {
            throw EncryptionError.mismatch(rule: "a secret is the one in use")
        }
        try connection.execute("DELETE FROM secret_requests WHERE request_id = \(id)")
        try sendToOwnDevices(
            "m.secret.request",
            [
                "action": "request_cancellation", "request_id": .string(id),
                "requesting_device_id": .string(device.text),
            ], in: connection)
        return name
    }

    // MARK: Giving

    /// Notes `m.secret.request` of one of our devices.
    func noteSecretRequest(_ content: JSONView, from sender: UserID, in connection: any SQLConnection) throws {
        guard sender == user, let id = content["request_id"]?.string, id.utf8.count <= 255,
            let asking = content["requesting_device_id"]?.string, asking != device.text, asking.utf8.count <= 512
        else { return }
        switch content["action"]?.string {
        case "request_cancellation":
            try connection.execute(
                "DELETE FROM secret_replies_due WHERE device_id = \(asking) AND request_id = \(id)")
        case "request":
            guard let name = SecretName(rawValue: content["name"]?.string ?? "") else { return }
            try connection.execute("DELETE FROM secret_replies_due WHERE \(isSecretReplyLate)")
            let count = try connection.query("SELECT COUNT(*) FROM secret_replies_due").first?.int(0) ?? 0
            guard count < Limits.secretReplies else { return }
            try connection.execute(
                """
                INSERT INTO secret_replies_due VALUES (\(asking), \(id), \(name.rawValue), \(now()))
                ON CONFLICT (device_id, request_id) DO NOTHING
                """)
        default: return
        }
    }

    /// Whether somebody waits for a secret: then make Olm sessions with our own devices first.
    public func owesSecrets(in connection: any SQLConnection) throws -> Bool {
        try !connection.query("SELECT 1 FROM secret_replies_due WHERE NOT \(isSecretReplyLate) LIMIT 1").isEmpty
    }

    private var isSecretReplyLate: SQL {
        Period.isOver(Limits.secretRequestMilliseconds, since: "asked_at", at: now())
    }

    /// Gives our verified devices what they asked for. A request of another device waits: our user may be about to verify
    /// it. It is forgotten after a while.
    public func answerSecretRequests(in connection: any SQLConnection) throws {
        let held = try secretsInUse(in: connection)
        try connection.execute("DELETE FROM secret_replies_due WHERE \(isSecretReplyLate)")
        for row in try connection.query("SELECT device_id, request_id, name FROM secret_replies_due") {
            let (asking, id) = (try row.text(0), try row.text(1))
            guard let secret = SecretName(rawValue: try row.text(2)).flatMap({ held[$0] }),
                let device = try devices(of: user, in: connection).first(where: { $0.device.text == asking }),
                try isOwnVerified(device, in: connection), !device.isBlocked,
                let message = try encrypt(
                    "m.secret.send", ["request_id": .string(id), "secret": .string(secret)], to: device,
                    in: connection)
            else { continue }
            try enqueue([(device, message)], in: connection)
            try connection.execute(
                "DELETE FROM secret_replies_due WHERE device_id = \(asking) AND request_id = \(id)")
        }
    }
}
