import FedchatTesting
import MatrixModel
import MatrixRooms
import Testing

@Suite("Authorization of nonsense") struct HostileAuthorizationTests {
    private static let scraps: [JSONValue] = [
        nil, true, 0, -1, .integer(.max), .integer(.min), 1.5, .number(1e300), "", "@", "@bob:two.test", "join", "$",
        "!",
        [], [[]], ["@bob:two.test"], [:], ["signed": [:]], ["users": ["@bob:two.test": nil]], "\u{0}", "e\u{301}",
    ]

    /// The value with something in it, or itself, replaced.
    private func damaged(_ value: JSONValue, _ generator: inout SplitMix64) -> JSONValue {
        let scrap = Self.scraps.randomElement(using: &generator) ?? nil
        guard Int.random(in: 0..<4, using: &generator) > 0 else { return scrap }
        switch value {
        case .object(var fields):
            guard let key = fields.keys.sorted().randomElement(using: &generator) else { return scrap }
            fields[key] = Bool.random(using: &generator) ? damaged(fields[key] ?? nil, &generator) : nil
            return .object(fields)
        case .array(var elements):
            guard let index = elements.indices.randomElement(using: &generator) else { return scrap }
            elements[index] = damaged(elements[index], &generator)
            return .array(elements)
        default: return scrap
        }
    }

    /// Whatever an event or the state says: an answer, and the same one again.
    @Test(arguments: RoomVersion.all) func `no event is too strange to be judged`(version: RoomVersion) throws {
        var generator = SplitMix64(seed: 5)
        let vectors = RoomVectors(version: version)
        var judged = 0
        for vector in RoomVectors.authorization where vector["state"]?.count ?? 0 > 0 {
            let given = try #require(vector["event"])
            for _ in 0..<3 {
                var event = given
                event["content"] = damaged(given["content"] ?? [:], &generator)
                if Int.random(in: 0..<4, using: &generator) == 0 { event = damaged(event, &generator) }
                guard let damagedEvent = try? vectors.event(event, id: "$event:two.test") else { continue }
                let state = (vector["state"]?.elements ?? []).enumerated().compactMap { index, part in
                    var part = part
                    if Int.random(in: 0..<3, using: &generator) == 0 {
                        part["content"] = damaged(part["content"] ?? [:], &generator)
                    }
                    return try? vectors.event(part, id: part["type"] == "m.room.create" ? "$create" : "$\(index)")
                }
                guard let create = state.first(where: { $0.type == .create }) else { continue }
                let answers = (0..<2).map { _ in
                    do throws(Rejection) {
                        try authorize(damagedEvent, given: RoomState(state), by: version.rules, create: create)
                        return "allowed"
                    } catch {
                        return error.clause
                    }
                }
                #expect(answers[0] == answers[1])
                _ = redactionApplies(damagedEvent, to: damagedEvent) { RoomState(state) }
                try? checkAuthEvents(damagedEvent, authEvents: state, by: version.rules) { _ in false }
                judged += 1
            }
        }
        #expect(judged > 300)
    }
}
