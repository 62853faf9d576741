import Cryptography
import Federation
import HTTPMessages
import HTTPTypes
import Homeserver
import HomeserverStorage
import Logging
import MatrixAPI
import MatrixModel
import MatrixRooms
import SQLDatabase
import SQLiteEngine
import Testing

/// A whole homeserver in memory, asked as its clients ask it, and looked into where they cannot.
struct TestHomeserver: Sendable {
    let name: ServerName
    let environment: Environment
    let instance: Instance
    let handler: any HTTPHandler

    init(
        _ name: String, on network: LoopNetwork, database: (any Database)? = nil, sealer: StorageSealer = .plain,
        clock: any ServerClock = QuickClock(), mail: (any MailSender)? = nil,
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in }
    ) async throws {
        self.name = try ServerName(name)
        var configuration = HomeserverConfiguration(publicBaseURL: "https://\(name)")
        configuration.registration.isOpen = true
        configuration.registration.passwordHashCost = "minimum"
        configuration.rateLimits.isEnabled = false
        configuration.metricsEnabled = false
        // On the tests' clock these would be over in the blink of a busy machine.
        for time in [
            \HomeserverConfiguration.Timeouts.keyFetch, \.missingEvents, \.backfill, \.joinHeld,
        ] {
            configuration.timeouts[keyPath: time] *= Int64(QuickClock.factor)
        }
        configure(&configuration)
        let database = if let database { database } else { try SQLiteDatabase.inMemory() as any Database }
        try await Instance.migrate(database)
        var logger = Logger(label: name)
        logger.logLevel = .critical
        environment = Environment(
            serverName: self.name, configuration: configuration, database: database, sealer: sealer,
            clock: clock, random: SystemRandomSource(),
            signingKeys: SigningKeys(
                keyID: "ed25519:k", current: try Ed25519.SigningKey(seed: SHA256.hash(Array(name.utf8)))),
            httpClient: network, logger: logger, mailSender: mail,
            policyServerKey: configuration.policyServer.isEnabled
                ? try Ed25519.SigningKey(seed: SHA256.hash(Array("policy of \(name)".utf8))) : nil)
        instance = Instance(environment, resolver: NoSRVRecords())
        handler = instance.handler(for: Resource.standard)
        network.connect(name, handler)
    }

    /// The same server, started again on its database.
    init(restarting old: TestHomeserver, on network: LoopNetwork) {
        name = old.name
        environment = old.environment
        instance = Instance(environment, resolver: NoSRVRecords())
        handler = instance.handler(for: Resource.standard)
        network.connect(name.text, handler)
    }

    // MARK: As a client

    struct Client: Sendable {
        let server: TestHomeserver
        let user: UserID
        let token: String

        /// The answer to a request. A status of 300 or more throws the error it carries.
        @discardableResult
        func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
            try await server.ask(method, path, body, token: token)
        }

        func createRoom(_ version: String, _ more: [String: JSONValue] = [:]) async throws -> RoomID {
            var body: JSONValue = ["room_version": .string(version), "preset": "public_chat"]
            for (key, value) in more { body[key] = value }
            let answer = try await ask(.post, "/_matrix/client/v3/createRoom", body)
            return try RoomID(answer["room_id"]?.string ?? "")
        }

        /// A room that lets in who is in another.
        func restricted(
            to club: RoomID, _ version: String = "12", _ more: [String: JSONValue] = [:]
        ) async throws -> RoomID {
            let rule: JSONValue = [
                "join_rule": "restricted", "allow": [["type": "m.room_membership", "room_id": .string(club.text)]],
            ]
            var body = more
            body["preset"] = "private_chat"
            body["initial_state"] = [["type": "m.room.join_rules", "state_key": "", "content": rule]]
            return try await createRoom(version, body)
        }

        func join(_ room: RoomID, via server: TestHomeserver) async throws {
            let path =
                "/_matrix/client/v3/join/\(percent(room.text))?server_name=\(server.name.text)&via=\(server.name.text)"
            try await ask(.post, path, [:])
        }

        @discardableResult
        func say(_ text: String, _ room: RoomID) async throws -> EventID {
            let transaction = SystemRandomSource().token(8)
            let answer = try await ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/send/m.room.message/\(transaction)",
                ["msgtype": "m.text", "body": .string(text)])
            return try EventID(answer["event_id"]?.string ?? "")
        }

        @discardableResult
        func set(
            _ type: String, _ content: JSONValue, _ room: RoomID, key: String = ""
        ) async throws -> EventID {
            let answer = try await ask(
                .put, "/_matrix/client/v3/rooms/\(percent(room.text))/state/\(type)/\(percent(key))", content)
            return try EventID(answer["event_id"]?.string ?? "")
        }

        func act(_ verb: String, _ room: RoomID, on user: UserID? = nil) async throws {
            try await ask(
                .post, "/_matrix/client/v3/rooms/\(percent(room.text))/\(verb)",
                user.map { ["user_id": .string($0.text)] } ?? [:])
        }
    }

    func ask(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, token: String? = nil
    ) async throws -> JSONValue {
        var head = HTTPRequest(method: method, scheme: "https", authority: name.text, path: path)
        if let token { head.headerFields[.authorization] = "Bearer \(token)" }
        let response = await handler.handle(
            IncomingRequest(
                head: head, body: HTTPBody(body?.serialized() ?? []), remoteAddress: "192.0.2.1", isSecure: true))
        let document = try JSONDocument(try await response.body.collect(upTo: 16 << 20))
        if let error = MatrixError(status: response.status.code, body: document.root) { throw error }
        return JSONValue(document.root)
    }

    func register(_ localpart: String) async throws -> Client {
        let answer = try await ask(
            .post, "/_matrix/client/v3/register",
            ["username": .string(localpart), "password": "secret", "auth": ["type": "m.login.dummy"]])
        return Client(
            server: self, user: try UserID("@\(localpart):\(name)"), token: answer["access_token"]?.string ?? "")
    }

    // MARK: Looking inside

    var reader: RoomReader { RoomReader(environment: environment) }

    func state(_ room: RoomID) async throws -> [StateKey: EventID] {
        guard let record = try await reader.record(room) else { return [:] }
        return try await reader.state(at: record.state).mapValues(\.id)
    }

    func event(_ id: EventID) async throws -> StoredEvent? { try await reader.event(id) }

    func messages(_ room: RoomID) async throws -> [String] {
        guard let record = try await reader.record(room) else { return [] }
        return try await environment.database.read { connection in
            try reader.log(connection).timeline(
                room: record.nid, after: nil, upTo: nil, limit: 1_000, newestFirst: false
            ).compactMap { $0.pdu.type == .message ? $0.pdu.content["body"]?.string : nil }
        }
    }

    func membership(_ user: UserID, _ room: RoomID) async throws -> Membership? {
        try await reader.membership(of: user, in: room)?.membership
    }
}

/// Two homeservers, `a.test` and `b.test`, with Alice on the one and Bob on the other, on a network in memory.
struct TwoServers: Sendable {
    let network: LoopNetwork
    let a: TestHomeserver
    let b: TestHomeserver
    let alice: TestHomeserver.Client
    let bob: TestHomeserver.Client

    /// Runs both while the test runs.
    static func run(
        _ configure: (inout HomeserverConfiguration) -> Void = { _ in }, _ test: (TwoServers) async throws -> Void
    ) async throws {
        let network = LoopNetwork()
        let a = try await TestHomeserver("a.test", on: network, configure)
        let b = try await TestHomeserver("b.test", on: network, configure)
        let servers = TwoServers(
            network: network, a: a, b: b, alice: try await a.register("alice"), bob: try await b.register("bob"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await a.instance.run() }
            group.addTask { await b.instance.run() }
            try await test(servers)
            group.cancelAll()
        }
    }

    /// A room of Alice's that Bob has joined.
    func sharedRoom(_ version: String = "12", _ more: [String: JSONValue] = [:]) async throws -> RoomID {
        let room = try await alice.createRoom(version, more)
        try await bob.join(room, via: a)
        return room
    }

    /// Alice says the numbers 0 to 19 and "last", of which `b.test` gets only the latter, and nobody tells it the rest of now.
    func leaveGap(in room: RoomID) async throws {
        network.set { $0.pathAndQuery.contains("/send/") ? .swallowed : .delivered }
        for number in 0..<20 { try await alice.say("\(number)", room) }
        try await eventually {
            try await a.environment.database.read { try Outbox($0).pendingPDUs(for: "b.test", limit: 1).isEmpty }
        }
        network.set { $0.pathAndQuery.contains("get_missing_events") ? .unreachable : .delivered }
        try await alice.say("last", room)
        try await eventually { try await b.messages(room).last == "last" }
    }

    /// Waits until both have the same state of a room.
    func agree(_ room: RoomID, _ location: SourceLocation = #_sourceLocation) async throws {
        try await eventually(location) { try await a.state(room) == b.state(room) }
        // And what each made of the room follows from its events.
        for server in [a, b] {
            let report = try await RoomCheck(server.environment).check(room)
            #expect(report?.differences == [], sourceLocation: location)
        }
    }
}

/// Waits until something holds, and fails the test when it does not for two minutes: many tests share two cores.
func eventually(
    _ location: SourceLocation = #_sourceLocation, _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while ContinuousClock.now < end {
        if try await condition() { return }
        try await ContinuousClock().sleep(for: .milliseconds(10))
    }
    Issue.record("it did not come to pass", sourceLocation: location)
    throw CancellationError()
}

func percent(_ text: String) -> String {
    text.utf8.map { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: String(UnicodeScalar(byte))
        default: "%" + Hex.encode([byte]).uppercased()
        }
    }.joined()
}
