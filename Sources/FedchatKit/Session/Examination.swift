internal import ClientEncryption
internal import MatrixAPI
internal import MatrixModel
internal import PostQuantum
internal import SQLDatabase

/// One thing that was looked at.
public struct Examination: Sendable {
    /// What was looked at, for a person.
    public let name: String
    /// Whether all is well.
    public let isFine: Bool
    /// What was found; nothing secret.
    public let detail: String?
}

extension Client {
    /// Looks at the server, the session, and the keys that others see of this device.
    public func examine() async -> [Examination] {
        [
            await check("the server answers") {
                let answer = try await self.connection.send(APICall(.getVersions))
                let last = answer["versions"]?.elements.last?.string ?? "no version"
                return "\(self.connection.homeserver), up to \(last)"
            },
            await check("the session is valid") {
                let answer = try await self.call(APICall(.getTokenOwner))
                guard answer["user_id"]?.string == self.user.text, answer["device_id"]?.string == self.device.text
                else {
                    throw ClientError.malformedAnswer(path: "whoami")
                }
                return "\(self.user) \(self.device)"
            },
            await check("the sync works") {
                try await self.caughtUp()
                return nil
            },
            await check("others see this device's keys") {
                let own = try await self.fingerprint()
                guard let listed = try await self.devices().first(where: { $0.device == self.device }),
                    listed.fingerprint == own
                else { throw ClientError.notFound("the keys of this device on the server") }
                return own
            },
        ] + (await examineHybrid())
    }

    /// Nothing where it is off.
    private func examineHybrid() async -> [Examination] {
        guard let policy = try? await hybridPolicy(), policy != .off else { return [] }
        return [
            await check("post-quantum keys are offered") {
                guard try await self.isHybridOffered() else {
                    throw ClientError.notFound("them on the server: it does not take them, or was not reached yet")
                }
                return policy.rawValue
            },
            await check("devices that offer post-quantum keys are written to with them") {
                let devices = try await self.downgradedDevices()
                guard !devices.isEmpty else { return nil }
                let list = devices.prefix(10).map { "\($0.user) \($0.device) (\($0.standing.rawValue))" }
                throw ClientError.notFound("keys of \(list.joined(separator: ", "))")
            },
        ]
    }

    private func check(_ name: String, _ work: @Sendable () async throws -> String?) async -> Examination {
        do {
            return Examination(name: name, isFine: true, detail: try await work())
        } catch {
            return Examination(name: name, isFine: false, detail: "\(error)")
        }
    }
}
