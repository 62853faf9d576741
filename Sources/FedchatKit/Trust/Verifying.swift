internal import ClientEncryption
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// What a verification needs of the client.
extension Client {
    /// Asks for a user's keys anew.
    func freshKeys(of other: UserID) async throws {
        let machine = machine
        try await keyTurns.hold {
            try await self.uploadKeys()
            try await self.database.write { try machine.wantKeys(of: [other], in: $0) }
            try await self.queryKeys(for: [other])
        }
    }

    /// Where to verify a user: a direct room with them, or an encrypted one with nobody else, or else a new direct room.
    func verificationRoom(with other: UserID, creating: Bool) async throws -> RoomID {
        let (store, user) = (store, user)
        let known = try await database.read { connection -> RoomID? in
            let direct = try store.directRooms(with: other, in: connection).first {
                try store.membership(of: other.text, in: $0.room, connection) == "join"
            }
            if let direct { return direct.room }
            return try store.roomsOfTwo(["join"], in: connection).last { room in
                guard let summary = try store.room(room, in: connection), summary.membership == "join",
                    summary.isEncrypted
                else { return false }
                return try Set(store.members(of: room, ["join"], in: connection).map(\.user)) == [user, other]
            }
        }
        if let known { return known }
        return try await room(named: other.text, creating: creating)
    }

    /// The newest request of the user in the room with them that nobody has answered.
    func waitingRequest(of other: UserID) async throws -> (event: JSONView, room: RoomID)? {
        guard let room = try? await verificationRoom(with: other, creating: false) else { return nil }
        let answer = try await call(
            APICall(
                .getRoomEvents, ["roomId": room.text],
                query: [("dir", "b"), ("limit", "\(ClientLimits.recentRequests)")]))
        var answered: Set<String> = []
        for event in try answer.requiredArray("chunk") {
            guard event["state_key"] == nil, case .success(let readable) = try await read(event, in: room) else {
                continue
            }
            let content = readable.event["content"]
            if let id = content?["m.relates_to", "event_id"]?.string { answered.insert(id) }
            if content?["msgtype"]?.string == "m.key.verification.request", let id = event["event_id"]?.string,
                event["sender"]?.string == other.text
            {
                return answered.contains(id) ? nil : (event, room)
            }
        }
        return nil
    }

    /// Sends `m.key.verification.` and this to devices.
    func sendVerification(
        _ type: String, _ content: JSONValue, to other: UserID, _ devices: [DeviceID]
    ) async throws {
        let machine = machine
        try await keyTurns.hold {
            try await self.database.write {
                try machine.queueVerification(type, content, to: other, devices, in: $0)
            }
            try await self.flushToDevice()
        }
    }

    /// Keeps what a verification has shown, and tells the server.
    func keep(_ keys: VerifiedKeys, of them: VerificationParty) async throws -> Set<VerificationEffect> {
        let (machine, user) = (machine, user)
        return try await keyTurns.hold {
            let effects = try await self.database.write { try machine.keep(keys, of: them, in: $0) }
            try await self.uploadSignatures()
            if effects.contains(.ownIdentity) {
                await self.forgetBackupCheck()
                try await self.database.write { try machine.requestMissingSecrets(in: $0) }
                try await self.flushToDevice()
            }
            if them.user == user { try await self.claimKeys(for: [user]) }
            return effects
        }
    }
}
