internal import HTTPTypes
internal import MatrixModel

/// What a user does, by chance: talks mostly, and comes, goes, quarrels and governs now and then.
struct UserScript: Sendable {
    let me: SimulatedUser
    let others: [SimulatedUser]
    let rooms: [RoomID]
    let world: World
    let chance: Chance
    /// Users of hostile servers, who are never given power.
    let strangers: [UserID]

    private static let topics = ["tea", "rain", "the moon", "chess", "bread"]

    func run(steps: Int) async {
        for _ in 0..<steps {
            await world.sleep(chance.milliseconds(chance.happens(100) ? 5_000...60_000 : 50...3_000))
            await step()
        }
    }

    private func step() async {
        guard let room = chance.pick(rooms) else { return }
        let other = chance.pick(others)
        switch chance.below(1_000) {
        case ..<560: await talk(room)
        case ..<640: await react(room)
        case ..<740:
            await me.set("m.room.topic", ["topic": .string(chance.pick(Self.topics) ?? "")], in: room)
        case ..<760: await me.set("m.room.name", ["name": .string(chance.word(5))], in: room)
        case ..<830: await me.join(room, via: others.map(\.server.name) + [me.server.name])
        case ..<850: await me.act("leave", in: room)
        case ..<880: if let other { await me.act("kick", in: room, on: other.user) }
        case ..<900: if let other { await me.act("ban", in: room, on: other.user) }
        case ..<925: if let other { await me.act("unban", in: room, on: other.user) }
        case ..<945: if let other { await me.act("invite", in: room, on: other.user) }
        case ..<965: await govern(room)
        case ..<975: if let stranger = chance.pick(strangers) { await me.act("ban", in: room, on: stranger) }
        case ..<985: await me.set("m.room.join_rules", ["join_rule": "public"], in: room)
        default:
            await me.set("org.example.note", key: chance.word(1), ["text": .string(chance.word(4))], in: room)
        }
    }

    /// One to several messages, sometimes at once.
    private func talk(_ room: RoomID) async {
        let texts = (0..<(chance.happens(150) ? chance.within(2...12) : 1)).map { _ in chance.word(8) }
        let me = me
        await withDiscardingTaskGroup { group in
            for text in texts {
                group.addTask {
                    await me.send("m.room.message", ["msgtype": "m.text", "body": .string(text)], to: room)
                }
            }
        }
    }

    /// Redacts something of what was said. Not a redaction: in versions 1 and 2 one that was redacted no longer says of what
    /// it was, so whoever sees it only then cannot find it allowed.
    private func react(_ room: RoomID) async {
        let said = world.records.acknowledged.filter { $0.room == room && !$0.isRedaction }
        guard let event = chance.pick(said)?.event else { return }
        await me.redact(event, in: room)
    }

    /// Gives power or takes it.
    private func govern(_ room: RoomID) async {
        let path = "/_matrix/client/v3/rooms/\(room.text)/state/m.room.power_levels/"
        guard let answer = await me.ask(.get, path), answer.isGood, let other = chance.pick(others) else { return }
        var levels = answer.body
        var users = levels["users"] ?? [:]
        users[other.user.text] = .integer(Int64([0, 0, 50, 60, 60][chance.below(5)]))
        levels["users"] = users
        if chance.happens(200) { levels["events_default"] = .integer(Int64(chance.below(2) * 10)) }
        await me.set("m.room.power_levels", levels, in: room)
    }
}
