internal import Cryptography
internal import HTTPTypes
internal import HomeserverStorage
public import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// Asks the user once more before something grave. Sessions are rows, so that any node goes on with them; each belongs to
/// one user and one request: method, path and body.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api>
public struct UserInteractiveAuthentication: Sendable {
    /// What may be asked.
    public enum Stage: String, Sendable {
        case password = "m.login.password"
        case dummy = "m.login.dummy"
        case registrationToken = "m.login.registration_token"
        case terms = "m.login.terms"
    }

    /// What came of it.
    public enum Outcome: Sendable {
        /// Go on.
        case passed(Passed)
        /// Answer this: status 401 with the flows.
        case challenge(APIResponse)
    }

    /// A flow that was gone through.
    public struct Passed: Sendable {
        /// The session, if there was one.
        let sessionID: String?
        /// The registration token that was given.
        public let registrationToken: String?
        /// Whether the documents of the configuration were agreed to.
        let agreedToTerms: Bool
    }

    let environment: Environment
    let checking: PasswordChecking

    public init(environment: Environment, passwords: any PasswordHashing) {
        self.environment = environment
        checking = PasswordChecking(environment: environment, passwords: passwords)
    }

    /// Has a user confirm a request with the password. The session is used up when it passes.
    public func confirm(_ request: APIRequest, by requester: Requester) async throws -> Outcome {
        let outcome = try await check(request, user: requester.user, flows: [[.password]], bindsBody: true)
        if case .passed(let passed) = outcome, let id = passed.sessionID {
            let isFirst = try await environment.database.groupedWrite { connection in
                try AuthenticationSessionStore(connection).delete(id)
            }
            guard isFirst else { throw MatrixError(.forbidden, "This confirmation was used already") }
        }
        return outcome
    }

    /// Leads through one of the flows. The caller removes the session of what passed.
    /// - Parameters:
    ///   - user: whose request it is; `nil` before there is an account.
    ///   - bindsBody: whether the body must stay the same from request to request.
    func check(_ request: APIRequest, user: UserID?, flows: [[Stage]], bindsBody: Bool) async throws -> Outcome {
        let asksForTerms = flows.contains { $0.contains(.terms) }
        let operation = try Self.operation(
            request, bindsBody: bindsBody,
            shown: asksForTerms ? environment.settings.registration.terms : [])
        let now = environment.clock.now()
        guard let auth = try request.optionalObject("auth") else {
            return try await challenge(nil, user, operation, flows, error: nil)
        }
        var session: AuthenticationSessionStore.Session?
        if let id = auth["session"]?.string, id.utf8.count <= AccountLimits.nameBytes, !id.utf8.contains(0) {
            session = try await environment.database.read { connection in
                try AuthenticationSessionStore(connection).session(id, now: now)
            }
            if let session, session.user != user || !constantTimeEquals(session.operation, operation) {
                throw MatrixError(.forbidden, "The request has changed since the authentication began")
            }
        }
        var completed = session?.completed ?? []
        var token = session?.registrationToken
        if let type = auth["type"]?.string {
            guard let stage = Stage(rawValue: type), flows.contains(where: { $0.contains(stage) }) else {
                let error = MatrixError(.unknown, "This stage is not offered")
                return try await challenge(session, user, operation, flows, error: error)
            }
            // Who has no session was shown no documents.
            if stage == .terms, session == nil {
                let error = MatrixError(.missingParameter, "Missing session")
                return try await challenge(nil, user, operation, flows, error: error)
            }
            switch try await pass(stage, auth, user, request) {
            case .failure(let error):
                return try await challenge(session, user, operation, flows, error: error)
            case .success(let given):
                completed.insert(stage.rawValue)
                token = given ?? token
            }
        }
        if flows.contains(where: { $0.allSatisfy { completed.contains($0.rawValue) } }) {
            return .passed(
                Passed(
                    sessionID: session?.id, registrationToken: token,
                    agreedToTerms: completed.contains(Stage.terms.rawValue)))
        }
        var next = session ?? newSession(user, operation)
        next.completed = completed
        next.registrationToken = token
        return try await challenge(next, user, operation, flows, error: nil)
    }

    /// Judges one stage. Gives the registration token if that is what the stage was about.
    private func pass(
        _ stage: Stage, _ auth: JSONView, _ user: UserID?, _ request: APIRequest
    ) async throws -> Result<String?, MatrixError> {
        switch stage {
        case .dummy, .terms:
            return .success(nil)
        case .password:
            guard let password = auth["password"]?.string else {
                return .failure(MatrixError(.missingParameter, "Missing password"))
            }
            guard let user, let named = LoginIdentifier.user(in: auth, server: environment.serverName) else {
                return .failure(MatrixError(.missingParameter, "Missing identifier"))
            }
            guard named == user else { throw MatrixError(.forbidden, "This is another user") }
            let account = try await checking.account(of: user, password: password, address: request.remoteAddress)
            return account == nil ? .failure(MatrixError(.forbidden, "Invalid password")) : .success(nil)
        case .registrationToken:
            guard let token = auth["token"]?.string else {
                return .failure(MatrixError(.missingParameter, "Missing token"))
            }
            let now = environment.clock.now()
            let isValid =
                RegistrationTokenText.isValid(token)
                ? try await environment.database.read { connection in
                    try RegistrationTokenStore(connection).isValid(token, now: now)
                } : false
            return isValid ? .success(token) : .failure(MatrixError(.unauthorized, "Invalid registration token"))
        }
    }

    private func newSession(_ user: UserID?, _ operation: [UInt8]) -> AuthenticationSessionStore.Session {
        AuthenticationSessionStore.Session(
            id: environment.random.token(32), user: user, operation: operation,
            expires: environment.clock.now() + environment.configuration.timeouts.uiaSession)
    }

    private func challenge(
        _ given: AuthenticationSessionStore.Session?, _ user: UserID?, _ operation: [UInt8], _ flows: [[Stage]],
        error: MatrixError?
    ) async throws -> Outcome {
        let session = given ?? newSession(user, operation)
        let now = environment.clock.now()
        try await environment.database.groupedWrite { connection in
            try AuthenticationSessionStore(connection).save(session, now: now)
        }
        var answer: [String: JSONValue] = [
            "flows": .array(flows.map { ["stages": .array($0.map { .string($0.rawValue) })] }),
            "params": params(of: flows),
            "session": .string(session.id),
            "completed": .array(session.completed.sorted().map { .string($0) }),
        ]
        if let error {
            answer["errcode"] = .string(error.code.text)
            answer["error"] = .string(error.message)
        }
        return .challenge(.json(.object(answer), status: 401))
    }

    /// What clients need to know for the stages.
    private func params(of flows: [[Stage]]) -> JSONValue {
        guard flows.contains(where: { $0.contains(.terms) }) else { return .object([:]) }
        var policies: [String: JSONValue] = [:]
        for policy in environment.settings.registration.terms {
            var entry: [String: JSONValue] = ["version": .string(policy.version)]
            for (language, text) in policy.texts {
                entry[language] = ["name": .string(text.name), "url": .string(text.url)]
            }
            policies[policy.id] = .object(entry)
        }
        return .object([Stage.terms.rawValue: ["policies": .object(policies)]])
    }

    /// What a session is bound to; also to the documents shown, so that nobody agrees to others than were read.
    private static func operation(
        _ request: APIRequest, bindsBody: Bool, shown: [HomeserverConfiguration.Policy]
    ) throws(MatrixError) -> [UInt8] {
        var text = Array("\(request.route.method.rawValue) \(request.route.template)".utf8)
        for policy in shown { text += Array("\n\(policy.id) \(policy.version)".utf8) }
        for (name, value) in request.parameters.sorted(by: { $0.key < $1.key }) {
            text += Array("\n\(name)=\(value)".utf8)
        }
        if bindsBody {
            text.append(0x0A)
            do { text += try CanonicalJSON.encode(request.body, omitting: ["auth"], strict: false) } catch {
                throw MatrixError(.badJSON, "The body is not canonical JSON")
            }
        }
        return SHA256.hash(text)
    }
}
