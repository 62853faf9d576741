public import ClientEncryption
internal import MatrixAPI
public import MatrixModel
internal import SQLDatabase

/// Our identity, and what we think of others'.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#cross-signing>
extension Client {
    /// Makes an identity for this account and signs this device with it. `password` is what the server asks for when it
    /// replaces one that was there, which only a `reset` does. Throws ``ClientError``: `usage` if there is one already,
    /// `wrongPassword`.
    public func bootstrapCrossSigning(password: String?, reset: Bool = false) async throws -> CrossSigningStatus {
        try await caughtUp()
        let machine = machine
        let before = try await crossSigningStatus()
        if before.master != nil, !reset {
            if before.isTrusted, before.isDeviceSigned { return before }
            throw ClientError.usage(
                """
                there is an identity already: verify this device ("fedchat verify") or recover ("fedchat recovery \
                restore"), or make a new one with "fedchat cross-signing reset"
                """)
        }
        try await keyTurns.hold {
            try await self.uploadKeys()
            let upload = try await self.database.write { try machine.crossSigningUpload(in: $0) }
            try await self.callAuthenticated(upload, password: password)
            try await self.refreshOwnKeys()
            try await self.uploadSignatures()
        }
        return try await crossSigningStatus()
    }

    /// What this device can do with our identity, after asking the server.
    public func crossSigningStatus() async throws -> CrossSigningStatus {
        try await caughtUp()
        let machine = machine
        try await keyTurns.hold {
            try await self.uploadKeys()
            try await self.refreshOwnKeys()
        }
        return try await database.read { try machine.crossSigningStatus(in: $0) }
    }

    /// Takes the identity that the server shows for the user, at our user's word.
    public func acceptIdentity(of other: UserID) async throws {
        let machine = machine
        try await database.write { try machine.acceptIdentity(of: other, in: $0) }
    }

    /// What is known of a user's identity: nil where there is none; and whether we have verified them.
    public func identity(of other: UserID) async throws -> (identity: UserIdentity?, isVerified: Bool) {
        let machine = machine
        return try await database.read { connection in
            (
                try machine.identity(of: other, in: connection),
                try machine.isVerified(other, in: connection)
            )
        }
    }

    /// Asks for our own keys, whatever is known. Within `keyTurns`.
    func refreshOwnKeys() async throws {
        let (machine, user) = (machine, user)
        try await database.write { try machine.wantKeys(of: [user], in: $0) }
        try await queryKeys(for: [user])
    }

    /// Sends the signatures that are due. Within `keyTurns`.
    func uploadSignatures() async throws {
        let machine = machine
        for _ in 0..<64 {
            guard let upload = try await database.read({ try machine.signatureUpload(in: $0) }) else { return }
            let answer = try await call(upload.call)
            report(try await database.write { try machine.signaturesUploaded(upload, response: answer, in: $0) })
            try await queryKeys(for: nil)
        }
    }

    /// A call that the server may want authenticated by the password.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>
    private func callAuthenticated(_ call: APICall, password: String?) async throws {
        do {
            _ = try await self.call(call, attempts: 1)
        } catch ClientError.server(let refusal) where refusal.status == 401 && refusal.fields["flows"] != nil {
            let flows = refusal.fields["flows"]?.elements ?? []
            let stages = flows.map { $0["stages"]?.elements.compactMap(\.string) ?? [] }
            guard stages.contains(["m.login.password"]) else {
                throw ClientError.unsupportedFlow(Set(stages.joined()).sorted())
            }
            guard let password else {
                throw ClientError.usage("the server wants the account's password: give --password-file")
            }
            var body = try JSONValue.parse(call.body)
            body["auth"] = .fields([
                "type": "m.login.password", "identifier": ["type": "m.id.user", "user": .string(user.text)],
                "password": .string(password), "session": refusal.fields["session"],
            ])
            var repeated = call
            repeated.body = body.serialized()
            do {
                _ = try await self.call(repeated, attempts: 1)
            } catch ClientError.server(let refusal) where refusal.code == .forbidden {
                throw ClientError.server(MatrixError(.forbidden, refusal.message, status: 403))
            }
        }
    }

    /// After each sync: signatures that are owed. Those that the server refuses stay due, and are offered again ever more
    /// seldom. Within `keyTurns`.
    func sendDueSignatures() async throws {
        let machine = machine
        guard try await database.read({ try machine.signatureUpload(in: $0) }) != nil,
            refusedSignatures.allows("upload")
        else { return }
        do { try await uploadSignatures() } catch let error as ClientError where error.isLasting { throw error } catch {
            // It is the network: no reason to wait.
            refusedSignatures.forget("upload")
            throw error
        }
        refusedSignatures.forget("upload")
    }

    /// After each sync: secrets that others of our devices have asked for. Within `keyTurns`.
    func answerSecretRequests() async throws {
        let machine = machine
        guard try await database.read({ try machine.owesSecrets(in: $0) }) else { return }
        try await claimKeys(for: [user])
        try await database.write { try machine.answerSecretRequests(in: $0) }
        try await flushToDevice()
    }
}
