import ClientEncryption
import Cryptography
import FedchatKit
import Foundation
import MatrixModel

/// What a command may ask the process that owns the keys.
struct DaemonRequests: Sendable {
    let client: Client
    let opening: StoreOpening
    /// The authorities that the session trusts beside the system's.
    let authorityFile: String?
    let end: @Sendable () -> Void
    private let verifications = ActiveVerifications()

    func answer(_ method: String, _ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue {
        switch method {
        case "hello":
            .fields([
                "version": .integer(RPC.version), "user_id": .string(client.user.text),
                "ca_file": authorityFile.map { .string($0) },
            ])
        case "send": try await send(params)
        case "listen": try await listen(params, connection)
        case "call": try await call(params, connection)
        case "answer": try await answer(params, connection)
        case "create": try await create(params)
        case "join": try await join(params)
        case "invite":
            try await named(params) { room in
                try await client.invite(try params.user("user"), to: room)
            }
        case "leave":
            try await named(params) { room in
                if params["forget"]?.bool == true {
                    try await client.forget(room)
                } else {
                    try await client.leave(room)
                }
            }
        case "rooms": try await rooms()
        case "members": try await members(params)
        case "devices": try await devices(params)
        case "accept": try await accept(params)
        case "block": try await block(params)
        case "sharing": try await sharing(params)
        case "post-quantum": try await postQuantum(params)
        case "why": try await why(params)
        case "doctor": try await doctor()
        case "logout": try await logout()
        case "stop": [:]
        default: try await others(method, params, connection)
        }
    }

    private func others(
        _ method: String, _ params: JSONValue, _ connection: DaemonConnection
    ) async throws -> JSONValue {
        let requests = TrustRequests(client: client, verifications: verifications)
        guard let answer = try await requests.answer(method, params, connection) else {
            throw Failure("no method \(method)", Failure.Status.unexpected)
        }
        return answer
    }

    /// What ends the process does so once its answer has gone out.
    func afterAnswer(_ method: String) {
        if method == "logout" || method == "stop" { end() }
    }

    func text(_ params: JSONValue, _ key: String) throws -> String {
        guard let text = params[key]?.string else { throw Failure("\(key) is missing", Failure.Status.unexpected) }
        return text
    }

    private func named(_ params: JSONValue, _ work: (RoomID) async throws -> Void) async throws -> JSONValue {
        let room = try await client.room(named: try text(params, "room"))
        try await work(room)
        return ["room_id": .string(room.text)]
    }

    private func send(_ params: JSONValue) async throws -> JSONValue {
        let room = try await client.room(named: try text(params, "room"), creating: true)
        let content: JSONValue = [
            "msgtype": .string(params["msgtype"]?.string ?? "m.text"), "body": .string(try text(params, "body")),
        ]
        let event = try await client.send("m.room.message", content, to: room)
        return try await client.receipt(of: event, in: room)
    }

    private func listen(_ params: JSONValue, _ connection: DaemonConnection) async throws -> JSONValue {
        let room = try await client.room(named: try text(params, "room"))
        let timeline = Timeline(of: room, client: client) { event in
            var json = event.json
            // The homeserver can write in anybody's name what is not encrypted.
            if case .none = event.encryption, json["state_key"] == nil, json["type"]?.string == "m.room.message",
                try await client.isEncrypted(room)
            {
                json["in_the_clear"] = true
            }
            guard await connection.write(RPC.notification("event", json)) else { throw CancellationError() }
        }
        try await tellingNotices(connection) {
            try await timeline.run(
                fromStart: params["since"]?.string == "start", following: params["follow"]?.bool ?? true)
        }
        return ["undecryptable": .bool(await timeline.hasFailures)]
    }

    private func create(_ params: JSONValue) async throws -> JSONValue {
        var creation = RoomCreation()
        creation.name = params["name"]?.string
        creation.topic = params["topic"]?.string
        creation.aliasLocalpart = params["alias"]?.string
        creation.version = params["room_version"]?.string
        creation.isPublic = params["public"]?.bool ?? false
        creation.isEncrypted = params["encrypted"]?.bool ?? true
        creation.invite = try (params["invite"]?.elements ?? []).map { each in
            try JSONValue.object(["user": each]).user("user")
        }
        let room = try await client.create(creation)
        return ["room_id": .string(room.text)]
    }

    private func join(_ params: JSONValue) async throws -> JSONValue {
        let name = try text(params, "room")
        let servers = params["via"]?.elements.compactMap(\.string) ?? []
        let room: RoomID
        if name.hasPrefix("!") || name.hasPrefix("#") {
            room = try await client.join(name, via: servers)
        } else {
            room = try await client.join(try await client.invitation(named: name).text, via: servers)
        }
        return ["room_id": .string(room.text)]
    }

    private func rooms() async throws -> JSONValue {
        [
            "rooms": .array(
                try await client.rooms().map { room in
                    .fields([
                        "room_id": .string(room.room.text), "membership": .string(room.membership),
                        "name": room.name.map { .string($0) }, "alias": room.alias.map { .string($0) },
                        "encrypted": .bool(room.isEncrypted), "inviter": room.inviter.map { .string($0) },
                    ])
                })
        ]
    }

    private func members(_ params: JSONValue) async throws -> JSONValue {
        let room = try await client.room(named: try text(params, "room"))
        return [
            "members": .array(
                try await client.members(of: room).map {
                    ["user_id": .string($0.user.text), "membership": .string($0.membership)]
                })
        ]
    }

    private func devices(_ params: JSONValue) async throws -> JSONValue {
        let owner = params["user"] == nil ? nil : try params.user("user")
        return [
            "devices": .array(
                try await client.devices(of: owner).map { device in
                    .fields([
                        "user_id": .string(device.user.text), "device_id": .string(device.device.text),
                        "display_name": device.displayName.map { .string($0) },
                        "ed25519": device.fingerprint.map { .string($0) },
                        "standing": device.standing.map { .string($0.rawValue) },
                        "changed": .bool(device.hasChanged), "blocked": .bool(device.isBlocked),
                        "post_quantum": device.hybrid.map { .string($0.rawValue) },
                        "own": .bool(device.user == client.user && device.device == client.device),
                    ])
                })
        ]
    }

    private func accept(_ params: JSONValue) async throws -> JSONValue {
        try await client.acceptNewKeys(of: try params.user("user"), try device(params))
        return [:]
    }

    private func device(_ params: JSONValue) throws -> DeviceID {
        try params.argument("device", "a device id")
    }

    private func block(_ params: JSONValue) async throws -> JSONValue {
        try await client.setBlocked(
            params["blocked"]?.bool ?? true, try params.user("user"), try device(params))
        return [:]
    }

    private func sharing(_ params: JSONValue) async throws -> JSONValue {
        if let name = params["sharing"]?.string {
            guard let sharing = KeySharing(rawValue: name) else {
                throw Failure("no such setting: \(name)", Failure.Status.usage)
            }
            try await client.setSharing(sharing)
        }
        return ["sharing": .string(try await client.sharing().rawValue)]
    }

    private func why(_ params: JSONValue) async throws -> JSONValue {
        let event: EventID = try params.argument("event", "an event id")
        var room: RoomID?
        if params["room"] != nil { room = try await client.room(named: try text(params, "room")) }
        switch try await client.why(event, in: room) {
        case .success(let event): return event.json
        case .failure(let why):
            return .fields([
                "event_id": .string(event.text), "undecryptable": .string(why.cause.rawValue),
                "code": why.code.map { .string($0) }, "session_id": why.session.map { .string($0) },
                "explanation": .string(why.explanation),
                "remedies": .array(why.remedies.map { .string($0.rawValue) }),
                "other_devices_answered": why.ownAnswer.map { .string($0) },
                "healing": .bool(why.canCome),
            ])
        }
    }

    private func doctor() async throws -> JSONValue {
        [
            "checks": .array(
                await client.examine().map { check in
                    .fields([
                        "check": .string(check.name), "ok": .bool(check.isFine),
                        "detail": check.detail.map { .string($0) },
                    ])
                })
        ]
    }

    private func logout() async throws -> JSONValue {
        try await client.logout()
        opening.delete()
        return [:]
    }
}
