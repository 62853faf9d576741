import Cryptography
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Testing

@testable import Homeserver

@Suite("Telling by mail") struct MailTests {
    private static let pusher = PushServer.pusher(
        "bob@mail.test", more: ["kind": "email", "app_id": "m.email", "data": [:]])

    private func run(_ test: (PushServer, PretendMailServer) async throws -> Void) async throws {
        let mail = PretendMailServer()
        try await PushServer.run(
            mail: mail,
            {
                $0.email.from = "Chat <chat@a.test>"
                $0.timeouts.mailDelay = 120_000
                $0.rooms.encryptByDefault = false
            }
        ) { try await test($0, mail) }
    }

    /// The parts of a mail, decoded.
    private func parts(_ mail: OutgoingMail) -> (header: String, text: String, html: String) {
        let whole = String(decoding: mail.content, as: UTF8.self)
        let sections = whole.components("\r\n\r\n")
        func decoded(_ section: String?) -> String {
            let lines = (section ?? "").components("\r\n").prefix { !$0.hasPrefix("--") }
            return String(decoding: Base64.decode(lines.joined()) ?? [], as: UTF8.self)
        }
        return (
            sections.first ?? "", decoded(sections.count > 2 ? sections[2] : nil),
            decoded(sections.count > 3 ? sections[3] : nil)
        )
    }

    private func link(_ text: String) -> String? {
        text.components("https://a.test").dropFirst().first.map { String($0.prefix { !$0.isWhitespace && $0 != "<" }) }
    }

    private func page(
        _ world: PushServer, _ method: HTTPRequest.Method, _ path: String
    ) async throws -> (Int, String) {
        let head = HTTPRequest(method: method, scheme: "https", authority: "a.test", path: path)
        let response = await world.server.handler.handle(
            IncomingRequest(
                head: head, body: HTTPBody(Array("List-Unsubscribe=One-Click".utf8)), remoteAddress: "192.0.2.1",
                isSecure: true))
        return (
            response.status.code, String(decoding: try await response.body.collect(upTo: 1 << 16), as: UTF8.self)
        )
    }

    @Test func `an address gets mail only after its owner agreed, and none after it said so`() async throws {
        try await run { world, mail in
            let room = try await world.room()
            try await world.push(world.bob, Self.pusher)
            try await world.alice.say("too early", room)
            let asking = try #require(mail.mails.first)
            #expect(asking.recipient == "bob@mail.test")
            #expect(asking.sender == "chat@a.test")
            let confirm = try #require(link(parts(asking).text))
            // To look changes nothing.
            let (status, form) = try await page(world, .get, confirm)
            #expect(status == 200 && form.contains("<form method=\"post\">"))
            let before = try await world.server.environment.database.read {
                try PusherStore($0).pushers(of: world.bob.user)
            }
            #expect(before.map(\.isConfirmed) == [false])
            let (agreed, _) = try await page(world, .post, confirm)
            #expect(agreed == 200)
            let (wrong, _) = try await page(world, .post, confirm.replacing("link=", with: "link=x"))
            #expect(wrong == 400)
            try await world.alice.say("hello", room)
            try await world.alice.say("are you there?", room)
            try await eventually { mail.mails.count == 2 }
            let digest = parts(mail.mails[1])
            #expect(digest.text.contains("hello") && digest.text.contains("are you there?"))
            #expect(!digest.text.contains("too early"))
            #expect(digest.text.contains("Tea (2)"))
            #expect(digest.html.contains("Tea (2)") && digest.html.contains("hello"))
            #expect(digest.header.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"))
            #expect(digest.header.contains("Auto-Submitted: auto-generated"))
            let end = try #require(link(digest.text))
            let (ended, _) = try await page(world, .post, end)
            #expect(ended == 200)
            let left = try await world.pushers(world.bob)
            #expect(left == [])
        }
    }

    private func agreed(_ world: PushServer, _ mail: PretendMailServer) async throws {
        try await world.push(world.bob, Self.pusher)
        let confirm = try #require(mail.mails.first.flatMap { link(parts($0).text) })
        _ = try await page(world, .post, confirm)
    }

    @Test func `strangers' text is harmless, and nothing of encrypted rooms is told`() async throws {
        try await run { world, mail in
            try await agreed(world, mail)
            let room = try await world.room(["name": "<b>\r\nBcc: x@y.test"])
            try await world.alice.say("<script>alert(1)</script> \u{202E}gnp.exe & \"more\"", room)
            let secret = try await world.room([
                "name": "Den",
                "initial_state": [
                    [
                        "type": "m.room.encryption", "state_key": "", "content": ["algorithm": "m.megolm.v1.aes-sha2"],
                    ]
                ],
            ])
            try await world.alice.say("plaintext-by-mistake", secret)
            try await eventually { mail.mails.count == 2 }
            let digest = parts(mail.mails[1])
            #expect(!digest.html.contains("<script>") && digest.html.contains("&lt;script&gt;"))
            #expect(!digest.html.contains("\u{202E}"))
            #expect(digest.html.contains("&lt;b&gt;"))
            #expect(!digest.text.contains("plaintext-by-mistake") && !digest.html.contains("plaintext-by-mistake"))
            #expect(digest.text.contains("Den (1)"))
            #expect(!digest.header.components("\r\n").contains { $0.hasPrefix("Bcc") })
            for line in String(decoding: mail.mails[1].content, as: UTF8.self).components("\r\n") {
                #expect(line.utf8.count <= 998 && line.utf8.allSatisfy { $0 < 0x80 && $0 != 0x0A && $0 != 0x0D })
            }
        }
    }

    @Test func `what was read meanwhile is not mailed, and a room mails ever more seldom`() async throws {
        try await run { world, mail in
            try await agreed(world, mail)
            let room = try await world.room()
            let event = try await world.alice.say("read at once", room)
            try await world.read(event, room, by: world.bob)
            let other = try await world.room(["name": "Other"])
            mail.fail(1)
            try await world.alice.say("first", other)
            try await eventually { mail.mails.count == 2 }
            #expect(!parts(mail.mails[1]).text.contains("read at once"))
            try await world.alice.say("second", other)
            let due = { () async throws -> Int64 in
                try await world.server.environment.database.read {
                    try PusherStore($0).pushers(of: world.bob.user).first?.dueAt ?? 0
                }
            }
            try await eventually { try await due() > 0 }
            let pause = try await due() - world.server.environment.clock.now()
            // Ten minutes after the mail, and not two.
            #expect(pause > 200_000 && pause < 600_000)
        }
    }

    @Test func `what is told lies behind more than is looked at at once, and is told`() async throws {
        try await run { world, mail in
            let room = try await world.room(["name": "Den"])
            let loud = try await world.room(["name": "Loud"])
            try await world.bob.ask(
                .put, "/_matrix/client/v3/pushrules/global/room/\(percent(loud.text))", ["actions": []])
            try await agreed(world, mail)
            // A mail that failed keeps the pusher from looking.
            func failed(_ failures: Int64, until due: Int64) async throws {
                try await world.server.environment.database.write {
                    _ = try $0.execute("UPDATE pushers SET failures = \(failures), due_at = \(due)")
                }
            }
            try await failed(1, until: .max / 2)
            for number in 0..<(PushLimits.eventsPerRoom + 10) { try await world.alice.say("\(number)", loud) }
            try await world.alice.say("behind all of it", room)
            try await failed(0, until: 1)
            try await eventually { mail.mails.count == 2 }
            #expect(parts(mail.mails[1]).text.contains("behind all of it"))
        }
    }

    @Test func `mail that asks for consent is bounded, and failures are told`() async throws {
        try await run { world, mail in
            for _ in 1...3 { try await world.push(world.bob, Self.pusher) }
            await #expect(throws: MatrixError.self) { try await world.push(world.bob, Self.pusher) }
            await #expect(throws: MatrixError.self) { try await world.push(world.alice, Self.pusher) }
            #expect(mail.mails.count == 3)
            for address in ["bob", "bob@", "a b@c.test", "a@b@c", "a@b\r\nRCPT TO:<x@y.test>", "<a@b.test>"] {
                await #expect(throws: MatrixError.self) {
                    try await world.push(
                        world.alice,
                        PushServer.pusher(address, more: ["kind": "email", "app_id": "m.email", "data": [:]]))
                }
            }
        }
    }

    @Test func `times are written as mail wants them`() {
        #expect(CalendarTime(milliseconds: 0).mailDate == "Thu, 1 Jan 1970 00:00:00 +0000")
        #expect(CalendarTime(milliseconds: 951_827_696_000).mailDate == "Tue, 29 Feb 2000 12:34:56 +0000")
        #expect(CalendarTime(milliseconds: 1_795_878_245_999).mailDate == "Sat, 28 Nov 2026 15:04:05 +0000")
        #expect(CalendarTime(milliseconds: -1).mailDate == "Wed, 31 Dec 1969 23:59:59 +0000")
        #expect(CalendarTime(milliseconds: .max).year == 9999)
        #expect(CalendarTime(milliseconds: .min).year == 1)
    }

    @Test func `a header field is encoded so that each word is whole`() {
        let name = String(repeating: "äöü€😀", count: 20)
        let words = MailMessage.encoded(name).components("\r\n ")
        #expect(words.allSatisfy { $0.utf8.count <= 75 && $0.hasPrefix("=?utf-8?B?") && $0.hasSuffix("?=") })
        let decoded = words.map { word in
            String(decoding: Base64.decode(String(word.dropFirst(10).dropLast(2))) ?? [], as: UTF8.self)
        }
        #expect(decoded.joined() == name)
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
