import FedchatKit
import MatrixModel
import Testing

private let alice = "@alice:a.test"
private let bob = "@bob:b.test"
private let carol = "@carol:c.test"

/// Calls that we place.
@Suite("Calls: placing") struct CallPlacingTests {
    let room: RoomID

    init() throws { room = try RoomID("!kitchen:a.test") }

    /// Alice has called Bob, and nobody has answered.
    private func calling(_ invitee: String? = bob, seed: UInt64 = 1) throws -> (TestPhone, CallEvent) {
        var phone = try TestPhone(alice, seed: seed)
        phone.on(.place(room, invitee: try invitee.map { try UserID($0) }))
        let sent = phone.describes(.offer, "alice's offer").sent
        return (phone, try #require(sent.first))
    }

    private func answered() throws -> (TestPhone, String) {
        var (phone, invite) = try calling()
        _ = phone.hears([try received(try answer(invite.call.text), from: bob)])
        return (phone, invite.call.text)
    }

    @Test func `an invite says whom it is for, how long it is valid and which version it is`() throws {
        let (phone, invite) = try calling()

        #expect(invite.type == "m.call.invite")
        #expect(invite.content["version"] == "1")
        #expect(invite.content["invitee"]?.string == bob)
        #expect(invite.content["lifetime"]?.integer == 90_000)
        #expect(invite.content["offer", "type"] == "offer")
        #expect(invite.content["offer", "sdp"] == "alice's offer")
        #expect(invite.content["party_id"]?.string == phone.machine.ownParty?.party?.text)
        #expect((invite.content["party_id"]?.string?.count ?? 0) >= 8)
        guard case .start(true, _) = try #require(phone.actions.commands.first) else {
            Issue.record("the program is not started as the caller's")
            return
        }
    }

    @Test func `the program hears of a call only once the ICE servers are known`() throws {
        var machine = try TestPhone(alice).machine
        #expect(machine.on(.place(room, invitee: nil), at: .zero) == [.fetchICEServers])
        let (servers, life) = try ICEServer.read(
            ["uris": ["turn:turn.test"], "username": "u", "password": "p", "ttl": 100] as JSONValue)
        let told = machine.on(.iceServers(servers, life: life), at: .seconds(1)).commands
        #expect(told.first == .start(isCaller: true, servers: servers))
    }

    @Test func `servers without TURN, and URLs that are none, are no ICE servers`() throws {
        #expect(try ICEServer.read([:] as JSONValue).servers.isEmpty)
        let odd: JSONValue = ["uris": ["http://evil.test", "turn:t", "TURNS:u", "file:///x"], "ttl": -5]
        let (servers, life) = try ICEServer.read(odd)
        #expect(servers.map(\.urls) == [["turn:t", "TURNS:u"]])
        #expect(life == .seconds(1))
        #expect(throws: MalformedField.self) { try ICEServer.read(["uris": "turn:t"] as JSONValue) }
    }

    @Test func `ICE credentials are renewed before they expire, and the program told`() throws {
        var machine = try TestPhone(alice).machine
        _ = machine.on(.place(room, invitee: nil), at: .zero)
        let (servers, life) = try ICEServer.read(
            ["uris": ["turn:turn.test"], "username": "u", "password": "p", "ttl": 20] as JSONValue)
        _ = machine.on(.iceServers(servers, life: life), at: .zero)

        #expect(machine.on(.tick, at: .seconds(15)).isEmpty)
        #expect(machine.on(.tick, at: .seconds(17)) == [.fetchICEServers])
        #expect(machine.on(.tick, at: .seconds(18)).isEmpty, "one question at a time")
        let told = machine.on(.iceServers(servers, life: life), at: .seconds(19)).commands
        #expect(told == [.iceServers(servers)])
    }

    @Test func `the first answer is taken and confirmed, a second is not`() throws {
        var (phone, invite) = try calling()
        let call = invite.call.text

        let first = phone.hears([try received(try answer(call, party: "ONE", sdp: "one"), from: bob)])
        #expect(first.sent.map(\.content["selected_party_id"]) == ["ONE"])
        #expect(first.descriptions == ["answer one"])

        let second = phone.hears([try received(try answer(call, party: "TWO", sdp: "two"), from: bob, device: "TABLET")]
        )
        #expect(second.isEmpty)
        #expect(phone.machine.opponent?.party?.text == "ONE")
    }

    @Test func `an answer is taken once, however often it comes`() throws {
        var (phone, invite) = try calling()
        let event = try received(try answer(invite.call.text), from: bob, id: "$answer")
        _ = phone.hears([event])
        #expect(phone.hears([event]).isEmpty, "the same event")
        let again = phone.hears([try received(try answer(invite.call.text), from: bob)])
        #expect(again.sent.isEmpty)
        #expect(again.notices == [.unexpected])
    }

    @Test func `a call that is for somebody is not answered, rejected or ended by another`() throws {
        var (phone, invite) = try calling()
        let call = invite.call.text
        for body in [
            try answer(call, party: "C").body, .reject, .hangup(.userHangup), .candidates([try candidate(1)]),
        ] {
            let found = phone.hears([try received(try event(body, call, party: "C"), from: carol)])
            #expect(found.sent.isEmpty)
            #expect(found.notices == [.otherParty])
        }
        #expect(phone.machine.activeCall != nil)
    }

    @Test func `a call for whoever is there may be answered by anybody but ourselves`() throws {
        var (phone, invite) = try calling(nil)
        #expect(phone.hears([try received(try answer(invite.call.text), from: alice)]).notices == [.otherParty])
        #expect(phone.hears([try received(try answer(invite.call.text), from: carol)]).sentTypes == ["select_answer"])
    }

    @Test func `one may call oneself`() throws {
        var (phone, invite) = try calling(alice)
        let echo = try received(invite, from: alice)
        #expect(phone.hears([echo]).isEmpty)
        let other = try received(try answer(invite.call.text, party: "OTHER"), from: alice, device: "TABLET")
        #expect(phone.hears([other]).sentTypes == ["select_answer"])
    }

    @Test func `a rejection is confirmed like an answer, and ends the call`() throws {
        var (phone, invite) = try calling()
        let found = phone.hears([try received(try event(.reject, invite.call.text, party: "B"), from: bob)])
        #expect(found.sentTypes == ["select_answer"])
        #expect(found.sent.first?.content["selected_party_id"] == "B")
        #expect(found.ends == ["remote rejected"])
    }

    @Test func `a rejection after an answer is disregarded`() throws {
        var (phone, call) = try answered()
        #expect(phone.hears([try received(try event(.reject, call, party: "TWO"), from: bob)]).isEmpty)
        #expect(phone.hears([try received(try event(.reject, call, party: "CALLEE"), from: bob)]).isEmpty)
        #expect(phone.machine.activeCall != nil)
    }

    @Test func `nobody answers: the call is hung up when the invite is not valid any more`() throws {
        var (phone, _) = try calling()
        #expect(phone.wait(.seconds(89)).isEmpty)
        let found = phone.wait(.seconds(1))
        #expect(found.sent.map(\.content["reason"]) == ["invite_timeout"])
        #expect(found.ends == ["local invite_timeout"])
        #expect(found.commands == [.stop])
    }

    @Test func `hanging up before the invite went out sends nothing, after it a hangup`() throws {
        var early = try TestPhone(alice)
        early.on(.place(room, invitee: nil))
        #expect(early.on(.hangUp).sent.isEmpty)
        var (late, _) = try calling()
        let found = late.on(.hangUp)
        #expect(found.sent.map(\.content["reason"]) == ["user_hangup"])
        #expect(found.ends == ["local user_hangup"])
    }

    @Test func `a device that cannot leaves the call to others, and its later answer counts for nothing`() throws {
        var (phone, invite) = try calling()
        let call = invite.call.text
        let failed = try event(.hangup(.userMediaFailed), call, party: "ONE")
        #expect(phone.hears([try received(failed, from: bob)]).isEmpty)
        let busy = try event(.hangup(.userBusy), call, party: "TWO")
        #expect(phone.hears([try received(busy, from: bob)]).ends == ["remote user_busy"])
    }

    @Test func `an answer whose hangup came first ends the call`() throws {
        var (phone, invite) = try calling()
        let call = invite.call.text
        _ = phone.hears([try received(try event(.hangup(.userHangup), call, party: "ONE"), from: bob)])
        let found = phone.hears([try received(try answer(call, party: "ONE"), from: bob)])
        #expect(found.sentTypes == ["select_answer"])
        #expect(found.ends == ["remote user_hangup"])
    }

    @Test func `version 0 answers without a party and is confirmed to nobody`() throws {
        var (phone, invite) = try calling()
        let content: JSONValue = [
            "call_id": .string(invite.call.text), "version": 0, "answer": ["type": "answer", "sdp": "old"],
        ]
        let found = phone.hears([try raw("m.call.answer", content, from: bob)])
        #expect(found.sent.isEmpty)
        #expect(found.descriptions == ["answer old"])
        #expect(phone.on(.hold(true)).notices == [.unsupported])
        let ended = phone.hears([
            try raw("m.call.hangup", ["call_id": .string(invite.call.text), "version": 0], from: bob)
        ])
        #expect(ended.ends == ["remote user_hangup"])
    }

    @Test func `version 0 rejects by hanging up`() throws {
        var (phone, invite) = try calling()
        let content: JSONValue = ["call_id": .string(invite.call.text), "version": 0]
        #expect(phone.hears([try raw("m.call.hangup", content, from: bob)]).ends == ["remote rejected"])
    }

    @Test func `candidates before an answer are kept for the one who answers, and only for them`() throws {
        var (phone, invite) = try calling()
        let call = invite.call.text
        for (number, party) in ["ONE", "TWO"].enumerated() {
            let event = try event(.candidates([try candidate(number)]), call, party: party)
            #expect(phone.hears([try received(event, from: bob)]).isEmpty)
        }
        let found = phone.hears([try received(try answer(call, party: "TWO"), from: bob)])
        #expect(found.commands.last == .addCandidates([try candidate(1)]))
    }

    @Test func `candidates of ours go out in batches, at once when they are all`() throws {
        var (phone, _) = try calling()
        #expect(phone.media(.candidates([try candidate(1)])).isEmpty)
        #expect(phone.media(.candidates([try candidate(2)]), after: .seconds(1)).isEmpty)
        let batch = phone.wait(.seconds(1))
        #expect(batch.sent.map { $0.content["candidates"]?.count } == [2])
        let last = phone.media(.candidates([.end]))
        #expect(last.sent.map { $0.content["candidates"] } == [[["candidate": ""]]])
    }

    @Test func `candidates before the offer wait for the invite`() throws {
        var phone = try TestPhone(alice)
        phone.on(.place(room, invitee: nil))
        #expect(phone.media(.candidates([try candidate(1), .end])).isEmpty)
        let found = phone.describes(.offer, "x")
        #expect(found.sentTypes == ["invite", "candidates"])
        #expect(found.sent.last?.content["candidates"]?.elements.last == ["candidate": ""])
    }

    @Test func `the program's silence, failure or end is a media failure`() throws {
        var silent = try TestPhone(alice)
        silent.on(.place(room, invitee: nil))
        #expect(silent.wait(.seconds(30)).ends == ["local user_media_failed"])
        for event in [MediaEvent.failed, .gone] {
            var (phone, _) = try calling()
            let found = phone.media(event)
            #expect(found.sent.map(\.content["reason"]) == ["user_media_failed"])
        }
        var (phone, _) = try answered()
        phone.media(.connection(.connected))
        #expect(phone.media(.gone).sent.map(\.content["reason"]) == ["unknown_error"])
    }

    @Test func `a connection that does not come about, and one that is lost`() throws {
        var (never, _) = try answered()
        #expect(never.wait(.seconds(40)).ends == ["local ice_failed"])
        var (failing, _) = try answered()
        #expect(failing.media(.connection(.failed)).sent.map(\.content["reason"]) == ["ice_failed"])
        var (lost, _) = try answered()
        lost.media(.connection(.connected))
        #expect(lost.media(.connection(.disconnected)).reports.count == 1)
        #expect(lost.media(.connection(.connected), after: .seconds(29)).reports.count == 1, "it came back")
        lost.media(.connection(.disconnected))
        let found = lost.wait(.seconds(30))
        #expect(found.sent.map(\.content["reason"]) == ["ice_timeout"])
        #expect(found.ends == ["local ice_timeout"])
    }

    @Test func `an invite that did not go out ends the call`() throws {
        var (phone, invite) = try calling()
        let key = try #require(phone.machine.activeCall)
        #expect(phone.on(.sendFailed(key, invite.body)).ends == ["local send_failed"])
    }

    @Test func `an invite whose answer came is not lost, whatever its sending says`() throws {
        var (phone, call) = try answered()
        let key = try #require(phone.machine.activeCall)
        #expect(phone.on(.sendFailed(key, try invite(call).body)).isEmpty)
        #expect(phone.machine.activeCall == key)
    }

    @Test func `many and long candidates go out in several events`() throws {
        var (phone, _) = try calling()
        let long = try (0..<100).map { number in
            try ICECandidate(
                [
                    "candidate": .string("candidate:\(number) " + String(repeating: "x", count: 900)), "sdpMid": "0",
                ] as JSONValue)
        }
        let found = phone.media(.candidates(long + [.end])).sent
        #expect(found.allSatisfy { $0.content.serialized().count < ClientLimits.contentBytes })
        #expect(found.reduce(0) { $0 + ($1.content["candidates"]?.count ?? 0) } == 101)
    }

    @Test func `who leaves the room hangs up`() throws {
        var (phone, _) = try answered()
        #expect(phone.on(.left(try UserID(carol), room)).isEmpty)
        #expect(phone.on(.left(try UserID(bob), try RoomID("!other:a.test"))).isEmpty)
        #expect(phone.on(.left(try UserID(bob), room)).ends == ["remote left"])
        var (waiting, _) = try calling()
        #expect(waiting.on(.left(try UserID(bob), room)).ends == ["remote left"])
    }

    @Test func `there is one call at a time`() throws {
        var (phone, _) = try calling()
        #expect(phone.on(.place(room, invitee: nil)).notices == [.busy])
    }

    @Test(arguments: ["hangup", "reject", "candidates", "negotiate", "answer"])
    func `another room's events under the same id mean nothing`(type: String) throws {
        var (phone, invite) = try calling()
        let bodies: [String: CallEvent.Body] = [
            "hangup": .hangup(.userHangup), "reject": .reject, "candidates": .candidates([.end]),
            "negotiate": try negotiate(.offer, "x", "c", party: "p").body, "answer": try answer("c").body,
        ]
        let event = try event(try #require(bodies[type]), invite.call.text, party: "CALLEE")
        #expect(phone.hears([try received(event, from: bob, in: "!other:a.test")]).isEmpty)
    }
}
