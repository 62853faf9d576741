import ClientEncryption
import FedchatKit
import MatrixModel
import Testing

private let alice = "@alice:a.test"
private let bob = "@bob:b.test"
private let carol = "@carol:c.test"

/// Calls that others place.
@Suite("Calls: answering") struct CallAnsweringTests {
    let room: RoomID
    let key: CallKey

    init() throws {
        room = try RoomID("!kitchen:a.test")
        key = CallKey(room: room, call: try CallID("c1"))
    }

    private func ringing() throws -> TestPhone {
        var phone = try TestPhone(bob)
        _ = phone.hears([try received(try invite("c1", to: bob), from: alice)])
        return phone
    }

    private func taken() throws -> TestPhone {
        var phone = try ringing()
        phone.on(.accept(key))
        return phone
    }

    private func answered() throws -> TestPhone {
        var phone = try taken()
        phone.describes(.answer, "bob's answer")
        return phone
    }

    @Test func `an invite rings, and is answered`() throws {
        var phone = try TestPhone(bob)
        let rings = phone.hears([try received(try invite("c1", to: bob), from: alice, age: .seconds(10))])
        #expect(
            rings.reports == [
                .ringing(
                    key, caller: try UserID(alice), device: try DeviceID("PHONE"), standing: .verified,
                    hasChanged: false, left: .seconds(80))
            ])
        let taken = phone.on(.accept(key))
        #expect(taken.descriptions == ["offer offer"])
        let answers = phone.describes(.answer, "bob's answer")
        #expect(answers.sentTypes == ["answer"])
        #expect(answers.sent.first?.content["answer", "sdp"] == "bob's answer")
    }

    @Test func `what one sync brings is taken together: a call that is over does not ring`() throws {
        for end in [
            try received(try event(.hangup(.userHangup), "c1", party: "CALLER"), from: alice),
            try received(try answer("c1", party: "TABLET"), from: bob, device: "TABLET"),
            try received(try event(.reject, "c1", party: "TABLET"), from: bob, device: "TABLET"),
            try received(try event(.selectAnswer(try PartyID("TABLET")), "c1", party: "CALLER"), from: alice),
        ] {
            var phone = try TestPhone(bob)
            #expect(phone.hears([try received(try invite("c1"), from: alice), end]).reports.isEmpty)
            var reordered = try TestPhone(bob)
            #expect(reordered.hears([end, try received(try invite("c1"), from: alice)]).reports.isEmpty)
        }
    }

    @Test func `a call for others does not ring, nor one of our own`() throws {
        var phone = try TestPhone(bob)
        #expect(phone.hears([try received(try invite("c1", to: carol), from: alice)]).isEmpty)
        #expect(phone.hears([try received(try invite("c2"), from: bob, device: "TABLET")]).isEmpty)
        #expect(phone.hears([try received(try invite("c3"), from: alice)]).reports.count == 1)
        #expect(phone.hears([try received(try invite("c4", to: bob), from: bob, device: "TABLET")]).reports.count == 1)
    }

    @Test(arguments: [(Int64(90_000), 88), (1, 0), (0, 0), (-5, 0), (.max, 700), (.min, 0)])
    func `an invite that is not valid any more does not ring`(lifetime: Int64, age: Int) throws {
        var phone = try TestPhone(bob)
        let found = phone.hears([
            try received(try invite("c1", lifetime: lifetime), from: alice, age: .seconds(age))
        ])
        #expect(found.notices == [.expired])
        #expect(phone.machine.ringingCalls.isEmpty)
    }

    @Test func `ringing ends with the invite, whatever its lifetime says`() throws {
        var phone = try ringing()
        #expect(phone.wait(.seconds(89)).isEmpty)
        #expect(phone.wait(.seconds(1)).ends == ["remote invite_timeout"])
        var long = try TestPhone(bob)
        _ = long.hears([try received(try invite("c1", lifetime: .max), from: alice)])
        #expect(long.wait(.seconds(600)).ends == ["remote invite_timeout"])
    }

    @Test func `a server that holds an invite back is found out by the caller's clock`() throws {
        var phone = try TestPhone(bob)
        let late = phone.hears([
            try received(try invite("c1"), from: alice, age: .zero, claimed: .seconds(3_600))
        ])
        #expect(late.notices == [.delayed])
        let near = phone.hears([
            try received(try invite("c2"), from: alice, age: .zero, claimed: .seconds(200))
        ])
        #expect(near.notices.isEmpty, "clocks differ")
        let ahead = phone.hears([try received(try invite("c3"), from: alice, age: .zero, claimed: .seconds(-200))])
        #expect(ahead.notices.isEmpty)
    }

    @Test func `a call that was dealt with before does not ring again`() throws {
        var phone = try TestPhone(bob, known: [key])
        #expect(phone.hears([try received(try invite("c1"), from: alice)]).notices == [.replayed])
        var again = try ringing()
        again.on(.reject(key))
        #expect(again.hears([try received(try invite("c1"), from: alice)]).isEmpty)
    }

    @Test func `our other devices take it or reject it`() throws {
        var taken = try ringing()
        #expect(taken.hears([try received(try answer("c1"), from: bob)]).ends == ["elsewhere answered_elsewhere"])
        var rejected = try ringing()
        let reject = try event(.reject, "c1", party: "TABLET")
        #expect(rejected.hears([try received(reject, from: bob)]).ends == ["elsewhere rejected_elsewhere"])
        var failed = try ringing()
        let cannot = try event(.hangup(.userMediaFailed), "c1", party: "TABLET")
        #expect(failed.hears([try received(cannot, from: bob)]).isEmpty, "another device that cannot is no reason")
    }

    @Test func `rejecting tells everybody, ignoring nobody`() throws {
        var rejecting = try ringing()
        let rejected = rejecting.on(.reject(key))
        #expect(rejected.sentTypes == ["reject"])
        #expect(rejected.sent.first?.content["reason"] == nil)
        #expect(rejected.ends == ["local rejected"])
        var ignoring = try ringing()
        #expect(ignoring.on(.ignore(key)).sent.isEmpty)
    }

    @Test func `the caller gives up`() throws {
        var phone = try ringing()
        let others = try event(.hangup(.userHangup), "c1", party: "CALLER")
        #expect(phone.hears([try received(others, from: carol)]).isEmpty, "not the caller")
        let end = try event(.hangup(.inviteTimeout), "c1", party: "CALLER")
        #expect(phone.hears([try received(end, from: alice)]).ends == ["remote cancelled"])
        var left = try ringing()
        #expect(left.on(.left(try UserID(alice), room)).ends == ["remote left"])
    }

    @Test func `the caller chooses us, or another`() throws {
        var chosen = try answered()
        let ours = try #require(chosen.machine.ownParty?.party)
        #expect(
            chosen.hears([try received(try event(.selectAnswer(ours), "c1", party: "CALLER"), from: alice)]).isEmpty)
        var other = try answered()
        let theirs = try event(.selectAnswer(try PartyID("TABLET")), "c1", party: "CALLER")
        let ended = other.hears([try received(theirs, from: alice)])
        #expect(ended.ends == ["elsewhere answered_elsewhere"])
        #expect(ended.sent.isEmpty, "it does not send any events")
        let late = chosen.hears([try received(theirs, from: alice)])
        #expect(late.notices == [.unexpected], "a caller does not change its mind")
        #expect(chosen.machine.activeCall != nil)
    }

    @Test func `nobody else chooses for the caller`() throws {
        var phone = try answered()
        let theirs = try event(.selectAnswer(try PartyID("TABLET")), "c1", party: "CALLER")
        #expect(phone.hears([try received(theirs, from: carol)]).notices == [.otherParty])
        let otherParty = try event(.selectAnswer(try PartyID("TABLET")), "c1", party: "OTHER")
        #expect(phone.hears([try received(otherParty, from: alice)]).notices == [.otherParty])
        #expect(phone.machine.activeCall != nil)
    }

    @Test func `a party stays on its device`() throws {
        var phone = try answered()
        let hangup = try event(.hangup(.userHangup), "c1", party: "CALLER")
        #expect(phone.hears([try received(hangup, from: alice, device: "EVIL")]).notices == [.otherDevice])
        let unlisted = try received(hangup, from: alice, device: nil, standing: .unknownDevice)
        #expect(phone.hears([unlisted]).notices == [.otherDevice])
        #expect(phone.machine.activeCall != nil)
        #expect(phone.hears([try received(hangup, from: alice)]).ends == ["remote user_hangup"])
    }

    @Test func `a caller who does not confirm is told of`() throws {
        var phone = try answered()
        phone.media(.connection(.connected))
        #expect(phone.wait(.seconds(15)).notices == [.unconfirmed])
        #expect(phone.wait(.seconds(60)).isEmpty, "once")
        var confirmed = try answered()
        let ours = try #require(confirmed.machine.ownParty?.party)
        confirmed.media(.connection(.connected))
        _ = confirmed.hears([try received(try event(.selectAnswer(ours), "c1", party: "CALLER"), from: alice)])
        #expect(confirmed.wait(.seconds(60)).isEmpty)
    }

    @Test func `candidates of the caller wait until the call is taken`() throws {
        var phone = try TestPhone(bob)
        _ = phone.hears([try received(try event(.candidates([try candidate(1)]), "c1", party: "CALLER"), from: alice)])
        _ = phone.hears([try received(try invite("c1"), from: alice)])
        _ = phone.hears([try received(try event(.candidates([try candidate(2)]), "c1", party: "CALLER"), from: alice)])
        _ = phone.hears([try received(try event(.candidates([try candidate(9)]), "c1", party: "CALLER"), from: carol)])
        let found = phone.on(.accept(key))
        let added = found.commands.flatMap { command -> [ICECandidate] in
            if case .addCandidates(let list) = command { list } else { [] }
        }
        #expect(added == [try candidate(1), try candidate(2)])
    }

    @Test func `candidates go out half a second after the answer, or with its end marker`() throws {
        var phone = try taken()
        #expect(phone.media(.candidates([try candidate(1)])).isEmpty)
        #expect(phone.describes(.answer, "x").sentTypes == ["answer"])
        #expect(phone.wait(.milliseconds(500)).sentTypes == ["candidates"])
        #expect(phone.media(.candidates([try candidate(2), .end])).sentTypes == ["candidates"])
    }

    @Test func `hanging up while the answer is made is a rejection`() throws {
        var phone = try taken()
        #expect(phone.on(.hangUp).sentTypes == ["reject"])
    }

    @Test func `version 0 callers are rejected by a hangup and confirm nothing`() throws {
        let content: JSONValue = [
            "call_id": "c1", "version": 0, "lifetime": 60_000, "offer": ["type": "offer", "sdp": "old"],
        ]
        var rejecting = try TestPhone(bob)
        _ = rejecting.hears([try raw("m.call.invite", content, from: alice)])
        #expect(rejecting.on(.reject(key)).sentTypes == ["hangup"])
        var taking = try TestPhone(bob)
        _ = taking.hears([try raw("m.call.invite", content, from: alice)])
        taking.on(.accept(key))
        #expect(taking.describes(.answer, "new").sentTypes == ["answer"])
        taking.media(.connection(.connected))
        #expect(taking.wait(.seconds(60)).isEmpty)
        #expect(taking.media(.negotiationNeeded).isEmpty, "version 0 knows no negotiate")
        let end: JSONValue = ["call_id": "c1", "version": 0]
        #expect(taking.hears([try raw("m.call.hangup", end, from: alice)]).ends == ["remote user_hangup"])
    }

    @Test func `only so many calls ring`() throws {
        var phone = try TestPhone(bob)
        for number in 0..<20 { _ = phone.hears([try received(try invite("c\(number)"), from: alice)]) }
        #expect(phone.machine.ringingCalls.count == ClientLimits.ringingCalls)
        #expect(phone.actions.notices.count == 20 - ClientLimits.ringingCalls)
    }

    @Test func `other calls ring on while we are in one, and are not taken`() throws {
        var phone = try answered()
        _ = phone.hears([try received(try invite("c2"), from: carol)])
        let second = CallKey(room: room, call: try CallID("c2"))
        #expect(phone.on(.accept(second)).notices == [.busy])
        #expect(phone.machine.ringingCalls == [second])
        #expect(phone.on(.reject(second)).sentTypes == ["reject"])
    }
}
