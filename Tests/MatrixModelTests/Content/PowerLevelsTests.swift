import MatrixModel
import Testing

@Suite("Power levels") struct PowerLevelsTests {
    private let alice: UserID
    private let bob: UserID

    init() throws {
        alice = try UserID("@alice:one.test")
        bob = try UserID("@bob:two.test")
    }

    private func levels(_ version: RoomVersion, _ content: JSONValue?) throws -> PowerLevels {
        let event = try content.map { try TestEvents.message(version, type: .powerLevels, stateKey: "", content: $0) }
        return PowerLevels(event, create: try TestEvents.create(version))
    }

    @Test func `without an event the creator has 100 and others 0`() throws {
        for version in [RoomVersion.v1, .v10, .v11] {
            let levels = try levels(version, nil)
            #expect(try levels.level(of: alice) == .level(100))
            #expect(try levels.level(of: bob) == .level(0))
            #expect(try levels.required(for: .name, isState: true) == .level(50))
            #expect(try levels.required(for: .message, isState: false) == .level(0))
        }
    }

    @Test func `an event without users gives even the creator the default`() throws {
        #expect(try levels(.v11, ["users_default": 3]).level(of: alice) == .level(3))
    }

    @Test func `creators of version 12 are above every level`() throws {
        let levels = try levels(.v12, ["users": ["@bob:two.test": 9_007_199_254_740_991]])
        #expect(try levels.level(of: alice) == .creator)
        #expect(try levels.level(of: alice) > levels.level(of: bob))
        let create = try TestEvents.create(.v12, content: ["additional_creators": ["@bob:two.test"]])
        #expect(try PowerLevels(nil, create: create).level(of: bob) == .creator)
        #expect(RoomCreate(create).privilegedCreators == [alice, bob])
        #expect(RoomCreate(try TestEvents.create(.v11)).privilegedCreators.isEmpty)
    }

    @Test func `levels come from the event, then from its defaults`() throws {
        let content: JSONValue = [
            "ban": 1, "events": ["m.room.name": 7], "events_default": 2, "state_default": 3, "invite": 4,
            "notifications": ["room": 20], "users": ["@bob:two.test": -5],
        ]
        let levels = try levels(.v12, content)
        #expect(try levels.required(for: .ban) == .level(1))
        #expect(try levels.required(for: .kick) == .level(50))
        #expect(try levels.required(for: .invite) == .level(4))
        #expect(try levels.required(for: .name, isState: true) == .level(7))
        #expect(try levels.required(for: .topic, isState: true) == .level(3))
        #expect(try levels.required(for: .message, isState: false) == .level(2))
        #expect(try levels.requiredForNotification("room") == .level(20))
        #expect(try levels.level(of: bob) == .level(-5))
    }

    @Test(
        arguments: [
            ("100", 100), (" +00100 ", 100), ("-7", -7), ("\t5\n", 5), ("5.0", nil), ("", nil), ("+", nil),
            ("--5", nil),
            ("0x10", nil), ("1 2", nil), ("99999999999999999999", .max), ("-99999999999999999999", -.max), ("+-5", nil),
        ] as [(String, Int64?)])
    func `a level may be a string up to version 9`(text: String, expected: Int64?) throws {
        for format in [AuthorizationRules.PowerLevelFormat.integersOrStrings, .integersStringsOrFloats] {
            #expect(PowerLevel(JSONValue.string(text), format: format) == expected.map { .level($0) })
        }
        #expect(PowerLevel(JSONValue.string(text), format: .integers) == nil)
    }

    @Test func `a fraction is cut off up to version 5`() {
        #expect(PowerLevel(JSONValue.number(50.57), format: .integersStringsOrFloats) == .level(50))
        #expect(PowerLevel(JSONValue.number(-0.9), format: .integersStringsOrFloats) == .level(0))
        // Beyond all that are told apart it is the last of these; beyond all doubles it is none.
        #expect(PowerLevel(JSONValue.number(1e300), format: .integersStringsOrFloats) == .level(.max))
        #expect(PowerLevel(JSONValue.number(-1e300), format: .integersStringsOrFloats) == .level(.min))
        #expect(PowerLevel(JSONValue.number(.infinity), format: .integersStringsOrFloats) == nil)
        #expect(PowerLevel(JSONValue.number(50.57), format: .integersOrStrings) == nil)
    }

    @Test func `a malformed level fails only who asks for it`() throws {
        let levels = try levels(.v10, ["ban": "50", "kick": 60])
        #expect(throws: MalformedField.self) { try levels.required(for: .ban) }
        #expect(try levels.required(for: .kick) == .level(60))
    }

    @Test func `notifying all needs 50 if the room does not say otherwise`() throws {
        #expect(try levels(.v12, ["notifications": ["room": 7]]).requiredForNotification("room") == .level(7))
        #expect(try levels(.v12, ["notifications": [:]]).requiredForNotification("room") == .level(50))
        #expect(try levels(.v12, [:]).requiredForNotification("room") == .level(50))
    }
}
