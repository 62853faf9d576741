import Cryptography
import HTTPClientCurl
import HTTPMessages
import HTTPTypes
import MatrixModel

/// Why a measurement cannot be made.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// A homeserver under load, spoken to by its client API.
struct Target: Sendable {
    /// What stands in the table.
    let name: String
    let host: String
    let port: Int
    let scheme: String
    /// Registers users at the endpoint of administrators.
    let secret: String
    let client: CurlClient

    /// - Parameter url: `http://127.0.0.1:8008`.
    /// - Parameter connections: how many at once.
    init(name: String, url: String, secret: String, connections: Int = BenchLimits.connections) throws {
        let parts = url.split(separator: "/", omittingEmptySubsequences: true)
        guard parts.count == 2, parts[0] == "http:" || parts[0] == "https:" else {
            throw BenchFailure("\(url) is not a URL of a host and a port")
        }
        scheme = String(parts[0].dropLast())
        let address = parts[1].split(separator: ":")
        guard let first = address.first else { throw BenchFailure("\(url) has no host") }
        host = String(first)
        port = address.count > 1 ? Int(address[1]) ?? 0 : scheme == "https" ? 443 : 80
        self.name = name
        self.secret = secret
        var configuration = CurlClient.Configuration()
        configuration.limits.maximumConnectionsPerHost = connections
        configuration.limits.maximumConnections = connections
        client = try CurlClient(configuration)
    }

    /// The same server, spoken to over so many connections.
    func with(connections: Int) throws -> Target {
        try Target(name: name, url: "\(scheme)://\(host):\(port)", secret: secret, connections: connections)
    }

    /// One call. Throws for any answer but one of status 200 with JSON.
    @discardableResult
    func call(
        _ method: HTTPRequest.Method, _ path: String, token: String? = nil, _ body: JSONValue? = nil
    ) async throws -> JSONView {
        var fields: HTTPFields = [.accept: "application/json"]
        if let token { fields[.authorization] = "Bearer \(token)" }
        if body != nil { fields[.contentType] = "application/json" }
        let response = try await client.send(
            ClientRequest(
                method: method, scheme: scheme, host: host, port: port, pathAndQuery: path, fields: fields,
                body: body?.serialized() ?? [], timeout: BenchLimits.timeout,
                maximumResponseBytes: BenchLimits.answerBytes, allowPrivateAddresses: true, verifyTLS: false))
        guard response.status == 200 else {
            throw BenchFailure(
                "\(method) \(path): \(response.status) \(String(decoding: response.body.prefix(300), as: UTF8.self))")
        }
        return try JSONDocument(response.body).root
    }

    /// A user with a token.
    struct User: Sendable {
        let id: String
        let token: String

        var server: String { String(id.drop { $0 != ":" }.dropFirst()) }
    }

    func register(_ name: String) async throws -> User {
        let path = "/_synapse/admin/v1/register"
        let nonce = try await call(.get, path)["nonce"]?.string ?? ""
        let signed = [nonce, name, "secret", "notadmin"].joined(separator: "\0")
        let mac = Hex.encode(HMACSHA1.authenticate(Array(signed.utf8), key: Array(secret.utf8)))
        let answer = try await call(
            .post, path,
            [
                "nonce": .string(nonce), "username": .string(name), "password": "secret", "admin": false,
                "mac": .string(mac),
            ])
        guard let id = answer["user_id"]?.string, let token = answer["access_token"]?.string else {
            throw BenchFailure("no token after registering")
        }
        return User(id: id, token: token)
    }

    func createRoom(by user: User) async throws -> String {
        let answer = try await call(
            .post, "/_matrix/client/v3/createRoom", token: user.token, ["preset": "public_chat", "name": "bench"])
        guard let room = answer["room_id"]?.string else { throw BenchFailure("no room_id") }
        return room
    }

    /// - Parameter server: a server in the room, where the user's own is not.
    func join(_ room: String, by user: User, via server: String? = nil) async throws {
        var path = "/_matrix/client/v3/join/\(PercentEncoding.encode(room))"
        if let server { path += "?server_name=\(PercentEncoding.encode(server))&via=\(PercentEncoding.encode(server))" }
        try await call(.post, path, token: user.token, [:])
    }

    func setState(
        _ type: String, _ stateKey: String, _ content: JSONValue, in room: String, by user: User
    ) async throws {
        try await call(
            .put,
            "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room))/state/\(type)/\(PercentEncoding.encode(stateKey))",
            token: user.token, content)
    }

    /// How many messages of a room begin with `prefix`: reads its history from the end.
    func count(messagesBeginningWith prefix: String, in room: String, by user: User) async throws -> Int {
        var found = 0
        var from = ""
        for _ in 0..<BenchLimits.pages {
            let answer = try await call(
                .get,
                "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room))/messages?dir=b&limit=500"
                    + (from.isEmpty ? "" : "&from=\(PercentEncoding.encode(from))"), token: user.token)
            let events = answer["chunk"]?.elements ?? []
            found += events.count { $0["content"]?["body"]?.string?.hasPrefix(prefix) ?? false }
            guard let next = answer["end"]?.string, !events.isEmpty else { break }
            from = next
        }
        return found
    }

    func send(_ text: String, to room: String, by user: User, transaction: String) async throws {
        try await call(
            .put, "/_matrix/client/v3/rooms/\(PercentEncoding.encode(room))/send/m.room.message/\(transaction)",
            token: user.token, ["msgtype": "m.text", "body": .string(text)])
    }

    /// A sync; `timeout` in milliseconds.
    func sync(_ user: User, since: String?, timeout: Int) async throws -> (next: String, answer: JSONView) {
        let filter = #"{"presence":{"types":[]},"room":{"timeline":{"limit":100},"state":{"lazy_load_members":true}}}"#
        var path = "/_matrix/client/v3/sync?timeout=\(timeout)&filter=\(PercentEncoding.encode(filter))"
        if let since { path += "&since=\(PercentEncoding.encode(since))" }
        let answer = try await call(.get, path, token: user.token)
        guard let next = answer["next_batch"]?.string else { throw BenchFailure("no next_batch") }
        return (next, answer)
    }

    /// Waits until the server answers.
    func waitUntilReady(_ patience: Duration) async throws {
        let deadline = ContinuousClock.now + patience
        while true {
            if (try? await call(.get, "/_matrix/client/versions")) != nil { return }
            guard ContinuousClock.now < deadline else { throw BenchFailure("\(name) does not answer") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }
}
