import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel

@testable import Homeserver

/// The client-server API of a room fixture; a user's id is their access token, `guest` before it makes a guest.
struct RoomClients {
    private struct Tokens: ClientAuthenticating {
        func requester(token: String, of request: APIRequest) async throws(MatrixError) -> Requester {
            guard let user = try? UserID(token), let device = try? DeviceID("DEVICE") else {
                throw MatrixError(.unknownToken, "no user")
            }
            return Requester(user: user, device: device, isGuest: user.localpart.hasPrefix("guest"))
        }
    }

    let server: RoomFixture
    private let handler: APIHandler

    init(_ server: RoomFixture, _ collaborators: RoomCollaborators = RoomCollaborators()) {
        self.server = server
        var limits = HomeserverConfiguration.RateLimits()
        limits.isEnabled = false
        let limiter = RateLimiter(limits, clock: server.environment.clock, database: server.environment.database)
        let memberships = MembershipEditing(writer: server.writer, collaborators: collaborators)
        var router = Router()
        let delivery = EventDelivery(writer: server.writer, memberships: memberships)
        RoomSending(delivery: delivery, delayed: DelayedSending(delivery: delivery), limiter: limiter)
            .register(on: &router)
        RoomCreating(writer: server.writer, memberships: memberships, limiter: limiter).register(on: &router)
        MembershipChanging(memberships: memberships, limiter: limiter).register(on: &router)
        AliasEditing(writer: server.writer, collaborators: collaborators).register(on: &router)
        RoomUpgrading(writer: server.writer).register(on: &router)
        handler = APIHandler(
            router: router, resources: Resource.standard, clients: Tokens(), servers: NoServers(), limiter: limiter,
            environment: server.environment)
    }

    func call(
        _ user: UserID?, _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil
    ) async throws -> Answer {
        try await handler.ask(method, "/_matrix/client/v3/" + path, token: user?.text, body)
    }

    /// Makes a room and gives its id.
    func room(_ user: UserID, _ body: JSONValue = [:]) async throws -> RoomID {
        try RoomID(try await call(user, .post, "createRoom", body)["room_id"]?.string ?? "")
    }

    func state(_ room: RoomID, _ type: EventType, _ key: String = "") async throws -> JSONValue? {
        guard let record = try await server.reader.record(room) else { return nil }
        return try await server.reader.stateEvent(record, type, key).map { JSONValue($0.pdu.content) }
    }

    /// A path with its parts percent-encoded.
    static func path(_ parts: String...) -> String {
        parts.map(PercentEncoding.encode).joined(separator: "/")
    }
}
