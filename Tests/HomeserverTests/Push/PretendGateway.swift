import HTTPMessages
import HTTPTypes
import MatrixModel
import Synchronization
import Testing

/// A push gateway that writes down what it is told, and answers as a test wants.
final class PretendGateway: HTTPHandler {
    private struct State {
        var told: [JSONValue] = []
        var answer: @Sendable (JSONValue, Int) -> (Int, JSONValue) = { _, _ in (200, ["rejected": []]) }
        var requests = 0
    }

    private let state = Mutex(State())

    /// The value of `notification` of each request that was answered with 200.
    var told: [JSONValue] { state.withLock { $0.told } }
    /// How often it was asked.
    var requests: Int { state.withLock { $0.requests } }
    /// Those that are about an event.
    var events: [JSONValue] { told.filter { $0["event_id"] != nil } }
    var bodies: [String] { events.map { $0["content"]?["body"]?.string ?? $0["type"]?.string ?? "?" } }

    /// Answers from now on: by the notification and the number of the request, from 1.
    func answer(_ answer: @escaping @Sendable (JSONValue, Int) -> (Int, JSONValue)) {
        state.withLock { $0.answer = answer }
    }

    func handle(_ request: IncomingRequest) async -> OutgoingResponse {
        let bytes = (try? await request.body.collect(upTo: 1 << 20)) ?? []
        let body = (try? JSONValue.parse(bytes)) ?? .null
        let (status, answer) = state.withLock { state in
            state.requests += 1
            let (status, answer) = state.answer(body["notification"] ?? .null, state.requests)
            if status == 200 {
                for problem in Self.problems(request, body) { Issue.record("\(problem): \(body)") }
                state.told.append(body["notification"] ?? .null)
            }
            return (status, answer)
        }
        return OutgoingResponse(
            status: .init(code: status), fields: [.contentType: "application/json"],
            body: HTTPBody(answer.serialized()))
    }

    // MARK: The shape

    private enum Shape: Sendable { case string, boolean, integer, object, priority, counts, devices }

    /// The properties of `notification`, as the OpenAPI description of the push gateway has them.
    private static let properties: [String: Shape] = [
        "event_id": .string, "room_id": .string, "type": .string, "sender": .string, "sender_display_name": .string,
        "room_name": .string, "room_alias": .string, "user_is_target": .boolean, "prio": .priority,
        "content": .object, "counts": .counts, "devices": .devices,
    ]
    private static let deviceProperties: [String: Shape] = [
        "app_id": .string, "pushkey": .string, "pushkey_ts": .integer, "data": .object, "tweaks": .object,
    ]
    private static let countProperties: [String: Shape] = ["unread": .integer, "missed_calls": .integer]

    /// What is wrong with a request.
    private static func problems(_ request: IncomingRequest, _ body: JSONValue) -> [String] {
        var problems: [String] = []
        if request.head.path != "/_matrix/push/v1/notify" { problems.append("path") }
        if request.method != .post { problems.append("method") }
        if request.head.headerFields[.contentType] != "application/json" { problems.append("content type") }
        guard let notification = body["notification"], notification.kind == .object, body.count == 1 else {
            return problems + ["notification"]
        }
        problems += Self.problems(of: notification, properties, required: ["devices"])
        if notification["event_id"] != nil, notification["room_id"] == nil { problems.append("room_id is missing") }
        return problems
    }

    private static func problems(of object: JSONValue, _ shapes: [String: Shape], required: [String]) -> [String] {
        var problems = required.filter { object[$0] == nil }.map { "\($0) is missing" }
        for (key, value) in object.members {
            guard let shape = shapes[key] else {
                problems.append("\(key) is not in the description")
                continue
            }
            let isRight =
                switch shape {
                case .string: value.string != nil
                case .boolean: value.bool != nil
                case .integer: value.integer != nil
                case .object: value.kind == .object
                case .priority: value == "high" || value == "low"
                case .counts:
                    value.kind == .object && Self.problems(of: value, countProperties, required: []).isEmpty
                case .devices:
                    !value.elements.isEmpty
                        && value.elements.allSatisfy {
                            Self.problems(of: $0, deviceProperties, required: ["app_id", "pushkey"]).isEmpty
                        }
                }
            if !isRight { problems.append("\(key) has another shape") }
        }
        return problems
    }
}
