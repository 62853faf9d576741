import FedchatKit
import MatrixModel
import Testing

private let alice = "@alice:a.test"
private let bob = "@bob:b.test"

/// Changes of a call that goes on.
@Suite("Calls: negotiation") struct CallNegotiationTests {
    let room: RoomID

    init() throws { room = try RoomID("!kitchen:a.test") }

    /// Alice called, Bob answered: the impolite side.
    private func caller() throws -> (TestPhone, String) {
        var phone = try TestPhone(alice)
        phone.on(.place(room, invitee: try UserID(bob)))
        phone.describes(.offer, "x")
        let call = try #require(phone.machine.activeCall?.call.text)
        _ = phone.hears([try received(try answer(call), from: bob)])
        phone.media(.connection(.connected))
        return (phone, call)
    }

    /// Bob answered Alice: the polite side.
    private func callee() throws -> (TestPhone, String) {
        var phone = try TestPhone(bob)
        _ = phone.hears([try received(try invite("c1", to: bob), from: alice)])
        phone.on(.accept(CallKey(room: room, call: try CallID("c1"))))
        phone.describes(.answer, "y")
        let ours = try #require(phone.machine.ownParty?.party)
        _ = phone.hears([try received(try event(.selectAnswer(ours), "c1", party: "CALLER"), from: alice)])
        phone.media(.connection(.connected))
        return (phone, "c1")
    }

    @Test func `an offer within the call is sent with its lifetime, and its answer taken`() throws {
        var (phone, call) = try caller()
        #expect(phone.media(.negotiationNeeded).descriptions == ["make an offer"])
        let offer = phone.describes(.offer, "more").sent
        #expect(offer.map(\.type) == ["m.call.negotiate"])
        #expect(offer.first?.content["lifetime"]?.integer == 60_000)
        #expect(offer.first?.content["description", "type"] == "offer")
        let found = phone.hears([try received(try negotiate(.answer, "fine", call, party: "CALLEE"), from: bob)])
        #expect(found.descriptions == ["answer fine"])
    }

    @Test func `their offer is answered`() throws {
        var (phone, call) = try callee()
        let found = phone.hears([try received(try negotiate(.offer, "more", call, party: "CALLER"), from: alice)])
        #expect(found.descriptions == ["offer more"])
        let answers = phone.describes(.answer, "fine").sent
        #expect(answers.map { $0.content["description", "type"] } == ["answer"])
    }

    @Test(arguments: [true, false])
    func `when both offer, the caller insists`(isSent: Bool) throws {
        var (phone, call) = try caller()
        phone.media(.negotiationNeeded)
        if isSent { phone.describes(.offer, "mine") }
        #expect(phone.hears([try received(try negotiate(.offer, "theirs", call, party: "CALLEE"), from: bob)]).isEmpty)
        if !isSent { #expect(phone.describes(.offer, "mine").sentTypes == ["negotiate"]) }
        let found = phone.hears([try received(try negotiate(.answer, "yes", call, party: "CALLEE"), from: bob)])
        #expect(found.descriptions == ["answer yes"])
    }

    @Test(arguments: [true, false])
    func `when both offer, the callee gives way, and offers again`(isSent: Bool) throws {
        var (phone, call) = try callee()
        phone.media(.negotiationNeeded)
        if isSent { phone.describes(.offer, "mine") }
        let stale = phone.actions.lastRequest
        let found = phone.hears([try received(try negotiate(.offer, "theirs", call, party: "CALLER"), from: alice)])
        #expect(found.descriptions == ["roll back, offer theirs"])
        if !isSent {
            let late = MediaEvent.description(
                request: stale, SessionDescription(.offer, sdp: "late"), streams: nil)
            #expect(phone.media(late).isEmpty, "what was rolled back is not sent")
        }
        let answered = phone.describes(.answer, "yes")
        #expect(answered.sentTypes == ["negotiate"])
        #expect(answered.descriptions == ["make an offer"], "ours again")
    }

    @Test func `an offer that is not answered is given up, tried again, and at last told of`() throws {
        var (phone, _) = try caller()
        phone.media(.negotiationNeeded)
        for _ in 1..<ClientLimits.negotiationAttempts {
            phone.describes(.offer, "more")
            #expect(phone.wait(.seconds(60)).descriptions == ["roll back", "make an offer"])
        }
        phone.describes(.offer, "more")
        let last = phone.wait(.seconds(60))
        #expect(last.descriptions == ["roll back"])
        #expect(last.notices == [.negotiationFailed])
        #expect(phone.machine.isConnected, "the call goes on as it was")
        #expect(phone.media(.negotiationNeeded).descriptions == ["make an offer"])
    }

    @Test func `a program that does not answer is rolled back`() throws {
        var (phone, call) = try callee()
        _ = phone.hears([try received(try negotiate(.offer, "more", call, party: "CALLER"), from: alice)])
        let found = phone.wait(.seconds(30))
        #expect(found.descriptions == ["roll back"])
        #expect(found.notices == [.negotiationFailed])
    }

    @Test func `an offer that is not valid any more is not taken`() throws {
        var (phone, call) = try callee()
        let late = try received(
            try negotiate(.offer, "more", call, party: "CALLER"), from: alice, age: .seconds(61))
        #expect(phone.hears([late]).notices == [.expired])
    }

    @Test func `an answer to no offer is not taken, nor one from another party`() throws {
        var (phone, call) = try caller()
        let fine = try negotiate(.answer, "fine", call, party: "CALLEE")
        #expect(phone.hears([try received(fine, from: bob)]).notices == [.unexpected])
        phone.media(.negotiationNeeded)
        phone.describes(.offer, "more")
        let other = try negotiate(.answer, "evil", call, party: "TABLET")
        let found = phone.hears([try received(other, from: bob, device: "TABLET")])
        #expect(found.notices == [.otherParty])
        #expect(found.descriptions.isEmpty)
    }

    @Test func `hold is an offer without reception, and tells that all is muted`() throws {
        var (phone, call) = try caller()
        phone.media(.streams(["s": StreamMetadata(.usermedia)]))
        #expect(phone.on(.hold(true)).descriptions == ["make an offer on hold"])
        let sent = phone.describes(.offer, "held").sent
        #expect(sent.first?.content["sdp_stream_metadata", "s", "audio_muted"] == true)
        let held = phone.hears([try received(try negotiate(.answer, "ok", call, party: "CALLEE"), from: bob)])
        let key = try #require(phone.machine.activeCall)
        #expect(held.reports == [.holding(key, true)])
        #expect(phone.on(.hold(true)).isEmpty, "it is so already")
        #expect(phone.on(.hold(false)).descriptions == ["make an offer"])
        phone.describes(.offer, "back")
        let back = phone.hears([try received(try negotiate(.answer, "ok", call, party: "CALLEE"), from: bob)])
        #expect(back.reports == [.holding(key, false)])
    }

    @Test func `what is wanted last counts, whatever is under way`() throws {
        var (phone, call) = try caller()
        phone.on(.hold(true))
        phone.describes(.offer, "held")
        #expect(phone.on(.hold(false)).isEmpty, "one offer at a time")
        let answered = phone.hears([try received(try negotiate(.answer, "ok", call, party: "CALLEE"), from: bob)])
        #expect(answered.descriptions == ["answer ok", "make an offer"])
    }

    @Test func `being held is seen in the directions of their offer`() throws {
        var (phone, call) = try callee()
        let key = try #require(phone.machine.activeCall)
        let held = "v=0\r\nm=audio 9 UDP 0\r\na=sendonly\r\nm=video 9 UDP 0\r\na=inactive\r\n"
        let found = phone.hears([try received(try negotiate(.offer, held, call, party: "CALLER"), from: alice)])
        #expect(found.reports == [.held(key, true)])
        phone.describes(.answer, "ok")
        let back = "v=0\r\nm=audio 9 UDP 0\r\na=sendrecv\r\nm=video 0 UDP 0\r\na=inactive\r\n"
        let again = phone.hears([try received(try negotiate(.offer, back, call, party: "CALLER"), from: alice)])
        #expect(again.reports == [.held(key, false)])
    }

    @Test(arguments: [
        ("m=audio 9 X\na=sendrecv\n", false), ("m=audio 9 X\na=sendonly\n", true), ("m=audio 9 X\na=inactive", true),
        ("m=audio 9 X\na=recvonly\n", false), ("a=sendonly\nm=audio 9 X\n", true), ("m=audio 9 X\n", false),
        ("m=audio 9 X\na=sendonly\nm=video 9 X\na=sendrecv\n", false),
        ("m=audio 9 X\na=sendonly\nm=application 9 X\n", true), ("m=audio 0 X\na=inactive\n", false), ("", false),
        ("a=inactive\n", false),
    ])
    func `directions of media are read from SDP`(lines: String, isHolding: Bool) throws {
        for sdp in [lines, lines.replacing("\n", with: "\r\n")] where !sdp.isEmpty {
            var (phone, call) = try callee()
            let found = phone.hears([try received(try negotiate(.offer, sdp, call, party: "CALLER"), from: alice)])
            #expect(found.reports.isEmpty != isHolding)
        }
    }

    @Test func `what is muted is told, both ways`() throws {
        var (phone, call) = try callee()
        let key = try #require(phone.machine.activeCall)
        let muted = try event(
            .streamMetadataChanged(["s": StreamMetadata(.usermedia, audioMuted: true)]), call, party: "CALLER")
        let found = phone.hears([try received(muted, from: alice)])
        #expect(found.reports == [.muted(key, audio: true, video: false)])
        #expect(found.commands == [.streams(["s": StreamMetadata(.usermedia, audioMuted: true)])])
        let ours = phone.media(.streams(["t": StreamMetadata(.screenshare, videoMuted: true)]))
        #expect(ours.sentTypes == ["sdp_stream_metadata_changed"])
        #expect(ours.sent.first?.content["sdp_stream_metadata", "t", "purpose"] == "m.screenshare")
    }

    @Test func `a client that does not speak of streams is not told of them`() throws {
        var (phone, _) = try caller()
        #expect(phone.media(.streams(["t": StreamMetadata(.usermedia)])).isEmpty)
    }
}
