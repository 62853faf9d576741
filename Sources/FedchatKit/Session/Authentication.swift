internal import MatrixAPI
public import MatrixModel

/// Registering and logging in: what happens before there is a session.
public struct Authentication: Sendable {
    let connection: HomeserverConnection
    /// What others see as the new device's name.
    public var deviceName: String

    /// For one homeserver.
    public init(_ connection: HomeserverConnection, deviceName: String) {
        self.connection = connection
        self.deviceName = deviceName
    }

    /// Logs in with a password. `user` is a localpart or a whole user id; a `device` that exists is taken over.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>
    public func login(user: String, password: String, device: DeviceID? = nil) async throws(ClientError) -> Credentials
    {
        let body: JSONValue = .fields([
            "type": "m.login.password",
            "identifier": ["type": "m.id.user", "user": .string(user)],
            "password": .string(password),
            "device_id": device.map { .string($0.text) },
            "initial_device_display_name": .string(deviceName),
            "refresh_token": true,
        ])
        let answer = try await connection.sendRepeating(APICall(.login, body: body), attempts: 2)
        return try Credentials(answer: answer)
    }

    /// Makes an account and logs in. `token` is a registration token, where the server wants one.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>
    public func register(user: String, password: String, token: String? = nil) async throws(ClientError) -> Credentials
    {
        var body: JSONValue = [
            "username": .string(user), "password": .string(password),
            "initial_device_display_name": .string(deviceName), "refresh_token": true,
        ]
        var completed: Set<String> = []
        // A flow has a few stages; each answer names the next.
        for _ in 0..<8 {
            do {
                return try Credentials(answer: try await connection.send(APICall(.register, body: body)))
            } catch {
                guard case .server(let refusal) = error, refusal.status == 401, let flows = refusal.fields["flows"],
                    let session = refusal.fields["session"]?.string
                else { throw error }
                guard let stage = nextStage(of: flows, completed, hasToken: token != nil) else {
                    throw .unsupportedFlow(
                        Set(flows.elements.flatMap { $0["stages"]?.elements.compactMap(\.string) ?? [] }).sorted())
                }
                completed.insert(stage)
                var stageAnswer: JSONValue = ["type": .string(stage), "session": .string(session)]
                if stage == Self.tokenStage { stageAnswer["token"] = .string(token ?? "") }
                body["auth"] = stageAnswer
            }
        }
        throw .malformedAnswer(path: "register")
    }

    private static let tokenStage = "m.login.registration_token"

    /// The first stage not yet done of the first flow that we can finish.
    private func nextStage(of flows: JSONValue, _ completed: Set<String>, hasToken: Bool) -> String? {
        let known: Set<String> = hasToken ? ["m.login.dummy", Self.tokenStage] : ["m.login.dummy"]
        for flow in flows.elements {
            let stages = flow["stages"]?.elements.compactMap(\.string) ?? []
            guard stages.allSatisfy(known.contains), completed.isSubset(of: stages) else { continue }
            if let next = stages.first(where: { !completed.contains($0) }) { return next }
        }
        return nil
    }
}
