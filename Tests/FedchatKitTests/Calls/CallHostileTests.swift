import ClientEncryption
import FedchatKit
import FedchatTesting
import MatrixModel
import Testing

private let alice = "@alice:a.test"
private let bob = "@bob:b.test"

/// Events that nobody honest sends.
@Suite("Calls: hostile input") struct CallHostileTests {
    let room: RoomID

    init() throws { room = try RoomID("!kitchen:a.test") }

    private func calling() throws -> (TestPhone, String) {
        var phone = try TestPhone(alice)
        phone.on(.place(room, invitee: try UserID(bob)))
        phone.describes(.offer, "x")
        return (phone, try #require(phone.machine.activeCall?.call.text))
    }

    @Test func `events in the clear are told of and nothing else`() throws {
        var phone = try TestPhone(bob)
        let clear = try received(try invite("c1", to: bob), from: alice, standing: nil)
        #expect(phone.hears([clear]).notices == [.unencrypted])
        #expect(phone.machine.ringingCalls.isEmpty)
        var (caller, call) = try calling()
        let answer = try received(try answer(call), from: bob, standing: nil)
        #expect(caller.hears([answer]).notices == [.unencrypted])
        #expect(caller.machine.opponent == nil)
    }

    @Test func `whoever was given a key by others cannot be told apart from them: that is told of and nothing else`()
        throws
    {
        var phone = try TestPhone(bob)
        let event = try received(try invite("c1", to: bob), from: alice, standing: .keyHandedOn)
        #expect(phone.hears([event]).notices == [.keyHandedOn])
        #expect(phone.machine.ringingCalls.isEmpty)
        let unsure = try received(try invite("c2", to: bob), from: alice, standing: .notCrossSigned)
        #expect(phone.hears([unsure]).reports.count == 1, "as with messages, it is said and not refused")
    }

    static let malformed: [(String, JSONValue)] = [
        ("m.call.invite", [:]),
        ("m.call.invite", ["call_id": "c", "version": "1", "party_id": "p", "lifetime": 1]),
        ("m.call.invite", ["call_id": "c", "version": "1", "party_id": "p", "lifetime": "1", "offer": ["sdp": "x"]]),
        ("m.call.invite", ["call_id": "c", "version": "1", "party_id": "p", "lifetime": 90_000, "offer": ["sdp": 1]]),
        ("m.call.invite", ["call_id": "c", "version": "1", "party_id": "p", "lifetime": 90_000, "offer": "x"]),
        ("m.call.invite", ["call_id": "", "version": "1", "party_id": "p", "lifetime": 90_000, "offer": ["sdp": "x"]]),
        (
            "m.call.invite",
            ["call_id": "c\u{0}", "version": "1", "party_id": "p", "lifetime": 90_000, "offer": ["sdp": "x"]]
        ),
        ("m.call.invite", ["call_id": "c", "version": "1", "lifetime": 90_000, "offer": ["sdp": "x"]]),
        ("m.call.invite", ["call_id": "c", "party_id": "p", "lifetime": 90_000, "offer": ["sdp": "x"]]),
        (
            "m.call.invite",
            [
                "call_id": "c", "version": "1", "party_id": "p", "lifetime": 90_000, "invitee": "nobody",
                "offer": ["sdp": "x"],
            ]
        ),
        (
            "m.call.invite",
            [
                "call_id": "c", "version": "1", "party_id": "p", "lifetime": 90_000,
                "offer": ["sdp": .string(String(repeating: "x", count: 40_000))],
            ]
        ),
        (
            "m.call.invite",
            [
                "call_id": "c", "version": "1", "party_id": "p", "lifetime": 90_000, "offer": ["sdp": "x"],
                "sdp_stream_metadata": [1],
            ]
        ),
        ("m.call.candidates", ["call_id": "c", "version": "1", "party_id": "p"]),
        ("m.call.candidates", ["call_id": "c", "version": "1", "party_id": "p", "candidates": [:]]),
        (
            "m.call.candidates",
            [
                "call_id": "c", "version": "1", "party_id": "p",
                "candidates": .array(Array(repeating: ["candidate": ""], count: 200)),
            ]
        ),
        ("m.call.answer", ["call_id": "c", "version": "1", "party_id": "p"]),
        ("m.call.select_answer", ["call_id": "c", "version": "1", "party_id": "p"]),
        ("m.call.select_answer", ["call_id": "c", "version": "1", "party_id": "p", "selected_party_id": [:]]),
        ("m.call.reject", ["call_id": 1, "version": "1", "party_id": "p"]),
        ("m.call.hangup", ["version": "1", "party_id": "p"]),
        ("m.call.negotiate", ["call_id": "c", "version": "1", "party_id": "p", "description": ["sdp": "x"]]),
        (
            "m.call.negotiate",
            [
                "call_id": "c", "version": "1", "party_id": "p", "lifetime": 1,
                "description": ["type": "rollback", "sdp": "x"],
            ]
        ),
        ("m.call.sdp_stream_metadata_changed", ["call_id": "c", "version": "1", "party_id": "p"]),
    ]

    @Test(arguments: malformed)
    func `what is malformed is told of and nothing else`(type: String, content: JSONValue) throws {
        var phone = try TestPhone(bob)
        let found = phone.hears([try raw(type, content, from: alice)])
        #expect(found.count == 1)
        #expect(found.notices == [.malformed])
        #expect(phone.machine.ringingCalls.isEmpty)
    }

    @Test func `other types of calls are passed over`() throws {
        var phone = try TestPhone(bob)
        for type in ["m.call.asserted_identity", "m.call.replaces", "m.call.member", "m.room.message"] {
            #expect(
                phone.hears([try raw(type, ["call_id": "c", "version": "1", "party_id": "p"], from: alice)]).isEmpty)
        }
    }

    @Test func `candidates are bounded for the whole call`() throws {
        var (phone, call) = try calling()
        _ = phone.hears([try received(try answer(call), from: bob)])
        var taken = 0
        for round in 0..<12 {
            let candidates = try (0..<100).map { try candidate(round * 100 + $0) }
            let event = try event(.candidates(candidates), call, party: "CALLEE")
            for command in phone.hears([try received(event, from: bob)]).commands {
                if case .addCandidates(let list) = command { taken += list.count }
            }
        }
        #expect(taken == ClientLimits.candidatesOfOneSide)
        #expect(phone.actions.notices.contains(.tooMany))
    }

    @Test func `events before an answer or an invite are bounded`() throws {
        var (phone, call) = try calling()
        for number in 0..<2_000 {
            let event = try FedchatKitTests.event(.candidates([.end]), call, party: "P\(number % 100)")
            _ = phone.hears([try received(event, from: bob)])
        }
        #expect(phone.actions.notices.contains(.tooMany))
        var ringing = try TestPhone(bob)
        for number in 0..<2_000 {
            let event = try event(.candidates([.end]), "c\(number)", party: "CALLER")
            _ = ringing.hears([try received(event, from: alice)])
        }
        for number in 0..<100 {
            _ = ringing.hears([try received(try event(.candidates([.end]), "c1999", party: "CALLER"), from: alice)])
            _ = number
        }
        #expect(ringing.hears([try received(try invite("c1999"), from: alice)]).reports.count >= 1)
    }

    @Test func `a flood of nonsense is told of, but not flooded on`() throws {
        var phone = try TestPhone(bob)
        func flood() throws -> Int {
            try (0..<500).reduce(0) { count, _ in
                count + phone.hears([try raw("m.call.invite", [:], from: alice)]).notices.count
            }
        }
        #expect(try flood() == ClientLimits.noticesPerMinute)
        phone.wait(.seconds(60))
        #expect(try flood() == ClientLimits.noticesPerMinute)
    }

    @Test func `an invite's offer gets to the program as an offer, whatever its type says`() throws {
        var phone = try TestPhone(bob)
        let content: JSONValue = [
            "call_id": "c1", "version": "1", "party_id": "p", "lifetime": 90_000,
            "offer": ["type": "rollback", "sdp": "x"],
        ]
        _ = phone.hears([try raw("m.call.invite", content, from: alice)])
        let found = phone.on(.accept(CallKey(room: room, call: try CallID("c1"))))
        #expect(found.descriptions == ["offer x"])
    }

    @Test func `no description of anything tells SDP or candidates`() throws {
        let secret = "a=fingerprint:sha-256 AB:CD"
        let line = try ICECandidate(["candidate": "candidate:1 192.0.2.7", "sdpMid": "0"] as JSONValue)
        let (servers, _) = try ICEServer.read(
            ["uris": ["turn:t"], "username": "u", "password": "hunter2", "ttl": 9] as JSONValue)
        let event = try invite("c1", sdp: secret)
        let things: [any Sendable] = [
            event, try answer("c1", sdp: secret), try negotiate(.offer, secret, "c1", party: "p"),
            try FedchatKitTests.event(.candidates([line]), "c1", party: "p"),
            MediaCommand.addCandidates([line]), MediaCommand.start(isCaller: true, servers: servers),
            MediaEvent.description(request: 1, SessionDescription(.offer, sdp: secret), streams: nil),
            CallAction.send(event, to: room, within: .zero),
        ]
        for thing in things {
            for text in ["\(thing)", String(reflecting: thing)] {
                for word in ["fingerprint", "192.0.2.7", "hunter2"] { #expect(!text.contains(word), "\(text)") }
            }
        }
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>)
    func `whatever comes in whatever order, nothing traps and all ends`(seed: UInt64) throws {
        var generator = SplitMix64(seed: seed)
        var phone = try TestPhone(alice, seed: seed)
        let users = [alice, bob, "@carol:c.test"]
        var calls = ["c1", "c2"]
        for step in 0..<1_500 {
            if let own = phone.machine.activeCall?.call.text, !calls.contains(own) { calls.append(own) }
            let call = calls.suffix(4).randomElement(using: &generator) ?? "c1"
            let party =
                ["CALLER", "CALLEE", phone.machine.ownParty?.party?.text ?? "P"].randomElement(using: &generator) ?? "P"
            let user = users.randomElement(using: &generator) ?? bob
            let key = CallKey(room: room, call: try CallID(call))
            let bodies: [CallEvent.Body] = [
                try invite("\(call)").body, try answer(call).body, .reject, .hangup(.userHangup),
                .candidates([try candidate(step), .end]), .selectAnswer(try PartyID(party)),
                try negotiate(.offer, "o", call, party: party).body,
                try negotiate(.answer, "a", call, party: party).body,
                .streamMetadataChanged(["s": StreamMetadata(.usermedia, audioMuted: step % 2 == 0)]),
            ]
            let wait = Duration.milliseconds(Int64.random(in: 0...3_000, using: &generator))
            switch Int.random(in: 0..<12, using: &generator) {
            case 0: phone.on(.place(room, invitee: try UserID(bob)), after: wait)
            case 1: phone.on(.accept(key), after: wait)
            case 2: phone.on(Bool.random(using: &generator) ? .hold(true) : .hold(false), after: wait)
            case 3: phone.describes(Bool.random(using: &generator) ? .offer : .answer, "sdp")
            case 4: phone.media(.connection(.connected), after: wait)
            case 5: phone.media(.negotiationNeeded, after: wait)
            default:
                let body = bodies.randomElement(using: &generator) ?? .reject
                _ = phone.hears([try received(try event(body, call, party: party), from: user)], after: wait)
            }
            if step % 97 == 0 { calls.append("n\(step)") }
        }
        phone.wait(.seconds(700))
        #expect(phone.machine.ringingCalls.isEmpty)
        if phone.machine.activeCall != nil { #expect(phone.machine.isConnected, "it is no state to stay in") }
    }
}
