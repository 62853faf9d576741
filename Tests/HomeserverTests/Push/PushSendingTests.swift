import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import SQLiteEngine
import Testing

@testable import Homeserver

@Suite("Sending notifications") struct PushSendingTests {
    @Test func `a message is told to the gateway with all that the specification names`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.alice.ask(
                .put, "/_matrix/client/v3/profile/\(percent(world.alice.user.text))/displayname",
                ["displayname": "Alice A."])
            try await world.alice.ask(
                .put, "/_matrix/client/v3/directory/room/\(percent("#tea:a.test"))", ["room_id": .string(room.text)])
            try await world.alice.set("m.room.canonical_alias", ["alias": "#tea:a.test"], room)
            try await world.push(
                world.bob, PushServer.pusher(data: ["custom": ["deep": true], "format": "other"]))
            let event = try await world.alice.say("hello", room)
            try await eventually { world.gateway.events.count == 1 }
            let told = try #require(world.gateway.events.first)
            #expect(told["event_id"]?.string == event.text)
            #expect(told["room_id"]?.string == room.text)
            #expect(told["type"] == "m.room.message")
            #expect(told["sender"]?.string == world.alice.user.text)
            #expect(told["sender_display_name"] == "Alice A.")
            #expect(told["room_name"] == "Tea")
            #expect(told["room_alias"] == "#tea:a.test")
            #expect(told["content"] == ["msgtype": "m.text", "body": "hello"])
            #expect(told["counts"] == ["unread": 1])
            #expect(told["user_is_target"] == nil)
            // Two members: the rule for such rooms makes a sound.
            #expect(told["prio"] == "high")
            let device = told["devices"]?.elements.first
            #expect(device?["app_id"] == "org.app")
            #expect(device?["pushkey"] == "key")
            #expect(device?["data"] == ["custom": ["deep": true], "format": "other"])
            #expect(device?["tweaks"] == ["sound": "default"])
            #expect((device?["pushkey_ts"]?.integer ?? 0) > 1_600_000_000)
            #expect((device?["pushkey_ts"]?.integer ?? 0) < 3_000_000_000)
        }
    }

    @Test func `only the id of an event is told to who asked for no more`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob, PushServer.pusher(data: ["format": "event_id_only", "x": 1]))
            let event = try await world.alice.say("secret", room)
            try await eventually { world.gateway.events.count == 1 }
            let told = try #require(world.gateway.events.first)
            #expect(Set(told.members.map(\.key)) == ["event_id", "room_id", "counts", "prio", "devices"])
            #expect(told["event_id"]?.string == event.text)
            #expect(told["devices"]?.elements.first?["data"] == ["format": "event_id_only", "x": 1])
        }
    }

    @Test func `push rules decide: notices, reactions, muted rooms and own messages are not told`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            let muted = try await world.room(["name": "Loud"])
            try await world.bob.ask(
                .put, "/_matrix/client/v3/pushrules/global/room/\(percent(muted.text))", ["actions": []])
            try await world.push(world.bob)
            let path = "/_matrix/client/v3/rooms/\(percent(room.text))/send/"
            try await world.alice.ask(.put, path + "m.room.message/1", ["msgtype": "m.notice", "body": "notice"])
            try await world.alice.ask(.put, path + "m.reaction/2", [:])
            try await world.alice.say("not told", muted)
            try await world.bob.say("own", room)
            try await world.alice.ask(
                .put, path + "m.room.message/3",
                [
                    "msgtype": "m.text", "body": "bob!",
                    "m.mentions": ["user_ids": [.string(world.bob.user.text)]],
                ])
            try await eventually { world.gateway.events.count == 1 }
            #expect(world.gateway.bodies == ["bob!"])
            let device = world.gateway.events.first?["devices"]?.elements.first
            #expect(device?["tweaks"] == ["sound": "default", "highlight": true])
        }
    }

    @Test func `an invite is told, and what was said before is not`() async throws {
        try await PushServer.run { world in
            try await world.push(world.bob)
            let room = try await world.alice.createRoom("12", ["name": "Tea"])
            try await world.alice.say("before", room)
            try await world.alice.act("invite", room, on: world.bob.user)
            try await eventually { world.gateway.events.count == 1 }
            let told = try #require(world.gateway.events.first)
            #expect(told["type"] == "m.room.member")
            #expect(told["user_is_target"] == true)
            #expect(told["room_name"] == "Tea")
            #expect(told["counts"] == ["unread": 1])
            #expect(told["devices"]?.elements.first?["tweaks"] == ["sound": "default"])
            try await world.bob.join(room, via: world.server)
            try await world.alice.say("after", room)
            try await eventually { world.gateway.bodies.contains("after") }
            #expect(world.gateway.bodies == ["m.room.member", "after"])
        }
    }

    @Test func `an invite from another server is told`() async throws {
        try await TwoServers.run { servers in
            let gateway = PretendGateway()
            servers.network.connect("push.test", gateway)
            try await servers.bob.ask(.post, "/_matrix/client/v3/pushers/set", PushServer.pusher())
            let room = try await servers.alice.createRoom("12", ["name": "Far"])
            try await servers.alice.act("invite", room, on: servers.bob.user)
            try await eventually { gateway.events.count == 1 }
            let told = gateway.events.first
            #expect(told?["type"] == "m.room.member")
            #expect(told?["room_id"]?.string == room.text)
            #expect(told?["room_name"] == "Far")
            #expect(told?["user_is_target"] == true)
            #expect(told?["counts"] == ["unread": 1])
            // And messages over federation.
            try await servers.bob.join(room, via: servers.a)
            try await servers.alice.say("hello", room)
            try await eventually { gateway.bodies.contains("hello") }
        }
    }

    @Test func `a count goes down when the user reads, on each device`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob, PushServer.pusher("phone"))
            try await world.push(world.bob, PushServer.pusher("tablet"))
            try await world.alice.say("one", room)
            let last = try await world.alice.say("two", room)
            try await eventually { world.gateway.events.count == 4 }
            #expect(world.gateway.events.compactMap { $0["counts"]?["unread"]?.integer }.max() == 2)
            try await world.read(last, room, by: world.bob)
            try await eventually { world.gateway.told.count >= 6 }
            let counts = world.gateway.told.filter { $0["event_id"] == nil }
            #expect(counts.map { $0["counts"] } == [["unread": 0], ["unread": 0]])
            #expect(
                Set(counts.compactMap { $0["devices"]?.elements.first?["pushkey"]?.string }) == ["phone", "tablet"])
            // What somebody else reads changes nothing.
            try await world.read(last, room, by: world.alice)
            try await world.alice.say("three", room)
            try await eventually { world.gateway.events.count == 6 }
            #expect(world.gateway.told.count == 8)
        }
    }

    @Test func `notifications come again after failures, in order and each once`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob)
            world.gateway.answer { _, number in number <= 2 ? (502, [:]) : (200, ["rejected": []]) }
            for number in 1...5 { try await world.alice.say("m\(number)", room) }
            try await eventually { world.gateway.events.count == 5 }
            #expect(world.gateway.bodies == ["m1", "m2", "m3", "m4", "m5"])
            #expect(world.gateway.requests >= 7)
        }
    }

    @Test func `while the database does not answer a pusher is left alone, longer each time, and nothing is lost`()
        async throws
    {
        let database = CountingDatabase(try SQLiteDatabase.inMemory())
        try await PushServer.run(database: database) { world in
            let room = try await world.room()
            try await world.push(world.bob)
            try await world.alice.say("before", room)
            try await eventually { world.gateway.bodies == ["before"] }
            let asking = "FROM pushers WHERE pusher_nid"
            database.refused = asking
            _ = database.takeCounts()
            try await world.alice.say("during", room)
            var asked = 0
            func count() { asked += database.takeCounts().filter { $0.key.contains(asking) }.values.reduce(0, +) }
            try await eventually {
                count()
                return asked > 0
            }
            // Half a minute of the server's, in which it looks ten times for what waits.
            let clock = world.server.environment.clock
            let start = clock.monotonic()
            try await clock.sleep(for: .seconds(30))
            count()
            let elapsed = clock.monotonic() - start
            #expect(asked <= 4 + Int(elapsed / .seconds(12)), "\(asked) times in \(elapsed)")
            database.refused = nil
            try await world.alice.say("after", room)
            try await eventually { world.gateway.bodies == ["before", "during", "after"] }
        }
    }

    @Test func `a notification that a gateway refuses keeps no others waiting`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob)
            world.gateway.answer { told, _ in told["content"]?["body"] == "bad" ? (400, [:]) : (200, [:]) }
            for text in ["one", "bad", "two"] { try await world.alice.say(text, room) }
            try await eventually { world.gateway.events.count == 2 }
            #expect(world.gateway.bodies == ["one", "two"])
        }
    }

    @Test func `what could not be sent for too long is dropped, the pusher is kept`() async throws {
        try await PushServer.run({
            $0.timeouts.pushGiveUp = 20_000
            $0.timeouts.pushBackoffMaximum = 6_000
        }) { world in
            let room = try await world.room()
            try await world.push(world.bob)
            world.gateway.answer { _, _ in (500, [:]) }
            try await world.alice.say("lost", room)
            let database = world.server.environment.database
            let lost = try await database.read { try StreamPositions($0).current("events") }
            try await eventually {
                let pusher = try await database.read { try PusherStore($0).pushers(of: world.bob.user).first }
                return (pusher?.position ?? 0) >= lost
            }
            #expect(world.gateway.requests >= 2)
            world.gateway.answer { _, _ in (200, [:]) }
            try await world.alice.say("kept", room)
            try await eventually { !world.gateway.events.isEmpty }
            #expect(world.gateway.bodies == ["kept"])
            let found1 = try await world.pushers(world.bob).count
            #expect(found1 == 1)
        }
    }

    @Test func `a pushkey that is rejected is removed, and only that one`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob, PushServer.pusher("dead"))
            try await world.push(world.bob, PushServer.pusher("alive"))
            world.gateway.answer { told, _ in
                let key = told["devices"]?.elements.first?["pushkey"]
                return (200, ["rejected": key == "dead" ? ["dead", "alive"] : []])
            }
            try await world.alice.say("hello", room)
            try await eventually { try await world.pushers(world.bob).map { $0["pushkey"] } == ["alive"] }
            try await eventually { world.gateway.events.count == 2 }
        }
    }

    @Test func `a pusher that is off is told nothing, and afterwards only what is new`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            try await world.push(world.bob, PushServer.pusher(more: ["org.matrix.msc3881.enabled": false]))
            try await world.alice.say("while off", room)
            try await world.push(world.bob, PushServer.pusher())
            try await world.alice.say("while on", room)
            try await eventually { !world.gateway.events.isEmpty }
            #expect(world.gateway.bodies == ["while on"])
        }
    }

    @Test func `messages of ignored users are not told`() async throws {
        try await PushServer.run { world in
            let room = try await world.room()
            let carol = try await world.server.register("carol")
            try await carol.join(room, via: world.server)
            try await world.bob.ask(
                .put, "/_matrix/client/v3/user/\(percent(world.bob.user.text))/account_data/m.ignored_user_list",
                ["ignored_users": .object([carol.user.text: [:]])])
            try await world.push(world.bob)
            try await carol.say("ignored", room)
            try await world.alice.say("heard", room)
            try await eventually { !world.gateway.events.isEmpty }
            #expect(world.gateway.bodies == ["heard"])
        }
    }

    @Test func `a server that was killed sends what it had not, when it is started again`() async throws {
        let network = LoopNetwork()
        let gateway = PretendGateway()
        let server = try await TestHomeserver("a.test", on: network)
        let (alice, bob) = (try await server.register("alice"), try await server.register("bob"))
        let room = try await alice.createRoom("12")
        try await bob.join(room, via: server)
        try await bob.ask(.post, "/_matrix/client/v3/pushers/set", PushServer.pusher())
        // Nothing runs: the messages are there, and nobody was told.
        for number in 1...3 { try await alice.say("m\(number)", room) }
        network.connect("push.test", gateway)
        for _ in 1...2 {
            let again = TestHomeserver(restarting: server, on: network)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await again.instance.run() }
                try await eventually { gateway.events.count == 3 }
                // And nothing twice.
                try await ContinuousClock().sleep(for: .milliseconds(200))
                group.cancelAll()
            }
            #expect(gateway.bodies == ["m1", "m2", "m3"])
        }
    }

    @Test(.enabled(if: TestStore.available.contains(.postgres), "PostgreSQL is not installed"))
    func `of two nodes one tells each notification, whichever was written to`() async throws {
        try await TestStore.postgres.run { database, _ in
            let network = LoopNetwork()
            let gateway = PretendGateway()
            network.connect("push.test", gateway)
            let first = try await TestHomeserver(
                "a.test", on: network, database: database, clock: SystemClock())
            let second = TestHomeserver(restarting: first, on: network)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await first.instance.run() }
                group.addTask { await second.instance.run() }
                let alice = try await first.register("alice")
                var rooms: [(RoomID, TestHomeserver.Client)] = []
                for number in 1...4 {
                    let user = try await first.register("user\(number)")
                    let room = try await alice.createRoom("12")
                    try await user.join(room, via: first)
                    try await user.ask(
                        .post, "/_matrix/client/v3/pushers/set", PushServer.pusher("key\(number)"))
                    rooms.append((room, user))
                }
                // Each node takes its share.
                try await eventually {
                    try await database.read { connection in
                        let holders = try connection.query(
                            """
                            SELECT holder, COUNT(*) FROM push_leases WHERE name LIKE 'shard %' AND lease_until > 0
                            GROUP BY holder
                            """)
                        return try holders.map { try $0.int(1) } == [8, 8]
                    }
                }
                let elsewhere = TestHomeserver.Client(server: second, user: alice.user, token: alice.token)
                for number in 1...4 {
                    for (room, _) in rooms {
                        try await (number % 2 == 0 ? alice : elsewhere).say("m\(number)", room)
                    }
                }
                try await eventually { gateway.events.count >= 16 }
                try await ContinuousClock().sleep(for: .milliseconds(200))
                for (room, _) in rooms {
                    let told = gateway.events.filter { $0["room_id"]?.string == room.text }
                    #expect(told.map { $0["content"]?["body"]?.string } == ["m1", "m2", "m3", "m4"])
                }
                group.cancelAll()
            }
        }
    }
}
