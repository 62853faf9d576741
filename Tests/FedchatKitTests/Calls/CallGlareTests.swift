import ClientEncryption
import FedchatKit
import MatrixModel
import Testing

private let alice = "@alice:a.test"
private let bob = "@bob:b.test"
private let carol = "@carol:c.test"

/// Two call each other.
@Suite("Calls: glare") struct CallGlareTests {
    let room: RoomID

    init() throws { room = try RoomID("!kitchen:a.test") }

    private func preparing(_ invitee: String? = bob) throws -> TestPhone {
        var phone = try TestPhone(alice)
        phone.on(.place(room, invitee: try invitee.map { try UserID($0) }))
        return phone
    }

    private func calling(_ invitee: String? = bob) throws -> TestPhone {
        var phone = try preparing(invitee)
        phone.describes(.offer, "x")
        return phone
    }

    /// `0…` sorts before every id that the machine makes up, `~` after it.
    private let lesser = "-0"
    private let greater = "~~"

    @Test func `a call that comes while ours is prepared is taken instead`() throws {
        for id in [lesser, greater] {
            var phone = try preparing()
            let found = phone.hears([try received(try invite(id, to: alice), from: bob)])
            #expect(found.sent.isEmpty, "ours was never sent")
            #expect(found.ends == ["local replaced"])
            #expect(found.descriptions == ["offer offer"])
            #expect(phone.machine.activeCall?.call.text == id)
            #expect(!found.commands.contains(.stop), "camera and microphone are kept")
            #expect(phone.describes(.answer, "y").sentTypes == ["answer"])
        }
    }

    @Test func `of two that are sent the lesser id goes on`() throws {
        var giving = try calling()
        let ours = try #require(giving.machine.activeCall?.call)
        let taken = giving.hears([try received(try invite(lesser, to: alice), from: bob)])
        #expect(taken.sentTypes == ["hangup"])
        #expect(taken.sent.first?.call == ours)
        #expect(giving.machine.activeCall?.call.text == lesser)

        var keeping = try calling()
        let kept = try #require(keeping.machine.activeCall)
        #expect(keeping.hears([try received(try invite(greater, to: alice), from: bob)]).isEmpty)
        #expect(keeping.machine.activeCall == kept)
        #expect(keeping.machine.ringingCalls.isEmpty)
    }

    private static let doubtful: [(standing: SenderStanding, changed: Bool)] = [
        (.unknownDevice, false), (.notCrossSigned, false), (.verified, true), (.crossSigned, true),
    ]

    @Test(arguments: doubtful.indices)
    func `a call that a homeserver could have made up is not taken by itself, but rings`(index: Int) throws {
        let (standing, changed) = Self.doubtful[index]
        for (phone, id) in [(try preparing(), lesser), (try preparing(), greater), (try calling(), lesser)] {
            var phone = phone
            let ours = try #require(phone.machine.activeCall)
            let forged = try received(
                try invite(id, to: alice), from: bob, device: standing == .unknownDevice ? nil : "PHONE",
                standing: standing, changed: changed)
            let found = phone.hears([forged])
            #expect(found.sent.isEmpty)
            #expect(found.ends.isEmpty)
            #expect(found.commands.isEmpty)
            #expect(phone.machine.activeCall == ours, "ours goes on")
            guard case .ringing(_, _, _, standing, changed, _) = found.reports.first else {
                Issue.record("it does not ring: \(found.reports)")
                return
            }

            // It is for our user to say that theirs is to go on.
            let key = CallKey(room: room, call: try CallID(id))
            let taken = phone.on(.accept(key))
            #expect(phone.machine.activeCall == key)
            #expect(taken.ends == ["local replaced"])
            #expect(
                taken.reports.contains { report in
                    if case .answering(key, _, _, standing, changed) = report { true } else { false }
                })
        }
    }

    @Test func `who rings and could be made up is called, not answered`() throws {
        for (standing, changed) in Self.doubtful {
            var phone = try TestPhone(alice)
            _ = phone.hears([
                try received(try invite(greater, to: alice), from: bob, standing: standing, changed: changed)
            ])
            _ = phone.on(.place(room, invitee: try UserID(bob)))
            #expect(phone.machine.activeCall?.call.text != greater)
            #expect(phone.machine.ringingCalls.map(\.call.text) == [greater], "it goes on ringing")
        }
    }

    @Test func `what is taken in place of ours says whose it is`() throws {
        var phone = try calling()
        let found = phone.hears([try received(try invite(lesser, to: alice), from: bob, standing: .crossSigned)])
        let answering = found.reports.map(\.json).first { $0["event"] == "answering" }
        #expect(answering?["sender_standing"] == "cross_signed")
        #expect(answering?["device_id"] == "PHONE")
        #expect(answering?["changed"] == nil)
    }

    @Test func `a third person's call is no answer to ours`() throws {
        for id in [lesser, greater] {
            var phone = try calling()
            let found = phone.hears([try received(try invite(id, to: alice), from: carol)])
            #expect(found.sent.isEmpty)
            #expect(phone.machine.activeCall?.call.text != id)
            #expect(phone.machine.ringingCalls.map(\.call.text) == [id], "it rings")
        }
    }

    @Test func `a call of another room is no glare`() throws {
        var phone = try calling()
        let found = phone.hears([try received(try invite(lesser, to: alice), from: bob, in: "!other:a.test")])
        #expect(found.sent.isEmpty)
        #expect(phone.machine.ringingCalls.count == 1)
    }

    @Test func `an answered call is not replaced`() throws {
        var phone = try calling()
        let call = try #require(phone.machine.activeCall?.call.text)
        _ = phone.hears([try received(try answer(call), from: bob)])
        _ = phone.hears([try received(try invite(lesser, to: alice), from: bob)])
        #expect(phone.machine.activeCall?.call.text == call)
    }

    @Test func `calling back who rings is to take the call`() throws {
        var phone = try TestPhone(alice)
        _ = phone.hears([try received(try invite(greater, to: alice), from: bob)])
        let found = phone.on(.place(room, invitee: try UserID(bob)))
        #expect(found.descriptions == ["offer offer"])
        #expect(phone.machine.activeCall?.call.text == greater)
    }

    @Test func `an invite under our own call's id is refused`() throws {
        var phone = try calling()
        let call = try #require(phone.machine.activeCall?.call.text)
        #expect(phone.hears([try received(try invite(call, party: "EVIL"), from: bob)]).notices == [.unexpected])
        #expect(phone.machine.activeCall?.call.text == call)
    }

    @Test func `an expired invite replaces nothing`() throws {
        var phone = try calling()
        let found = phone.hears([try received(try invite(lesser, to: alice), from: bob, age: .seconds(100))])
        #expect(found.notices == [.expired])
        #expect(phone.machine.activeCall?.call.text != lesser)
    }

    @Test func `what a replaced call's program says late is not taken for the new call's`() throws {
        var phone = try preparing()
        let old = try #require(phone.machine.activeCall)
        _ = phone.hears([try received(try invite(lesser, to: alice), from: bob)])
        let late = MediaEvent.description(request: 1, SessionDescription(.offer, sdp: "late"), streams: nil)
        #expect(phone.on(.media(old, late)).isEmpty)
    }
}
