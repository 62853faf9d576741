import FedchatTesting
import MatrixModel

/// Rooms whose history forks.
enum ForkedHistory: String, CaseIterable, Sendable {
    /// Many members; in each fork one leaves, one is banned, the topic is set, in some the power levels too.
    case members
    /// One user changed its name again and again; the forks are as far apart as they can be.
    case renames
    /// The power levels changed again and again; the forks are as far apart as they can be.
    case levels
    /// Everybody was invited by the one before.
    case invites
    /// Each member got power, and invited the next one, who was banned by somebody in each fork: all is in conflict.
    case quarrel
    /// The topic changed again and again under power levels that are in conflict.
    case topics

    /// The room that all forks have in common, and what each does on its own.
    struct Made {
        var room: TestRoom
        var forks: [TestRoom] = []
    }

    func make(_ version: RoomVersion, size: Int, forks count: Int) throws -> Made {
        let creator = UserID.alice
        let users = try (0..<max(size, count * 2)).map { try UserID("@user\($0):one.test") }
        var room = TestRoom(version, creator: creator)
        func levels(_ of: [String: JSONValue], of room: TestRoom) -> JSONValue {
            var users = of
            if !room.rules.authorization.privilegedCreators { users[creator.text] = 100 }
            return ["users": .object(users)]
        }
        var made = Made(room: room)
        switch self {
        case .members:
            for user in users.prefix(size) { room.join(user) }
            let moderators = users.prefix(10)
            room.setPowerLevels(
                levels(Dictionary(uniqueKeysWithValues: moderators.map { ($0.text, 60) }), of: room), by: creator)
            made.room = room
            for number in 0..<count {
                var fork = TestRoom(fork: room, number: number)
                fork.leave(users[10 + number % (size - 10)])
                let target = users[10 + (count + number) % (size - 10)]
                fork.ban(target, by: moderators[number % 10])
                fork.send(.topic, by: moderators[number % 10], stateKey: "", ["topic": .string("fork \(number)")])
                if number % 10 == 0 { fork.setPowerLevels(levels([users[number].text: 70], of: room), by: creator) }
                made.forks.append(fork)
            }
        case .renames, .levels, .topics:
            let bot = users[0]
            room.join(bot)
            var stops: [TestRoom] = []
            for number in 0..<size {
                switch self {
                case .renames:
                    room.send(
                        .member, by: bot, stateKey: bot.text,
                        ["membership": "join", "displayname": .string("Bot \(number)")])
                case .levels:
                    room.setPowerLevels(levels([bot.text: .integer(Int64(number % 90))], of: room), by: creator)
                default: room.send(.topic, by: creator, stateKey: "", ["topic": .string("topic \(number)")])
                }
                if self != .topics, (number + 1) * count / size > stops.count {
                    stops.append(TestRoom(fork: room, number: 0))
                }
            }
            made.room = room
            if self == .topics {
                for number in 0..<count {
                    var fork = TestRoom(fork: room, number: number)
                    fork.setPowerLevels(levels([bot.text: .integer(Int64(number))], of: room), by: creator)
                    stops.append(fork)
                }
            }
            made.forks = stops
        case .invites:
            var last = creator
            for user in users.prefix(size / 2) {
                room.invite(user, by: last)
                room.join(user)
                last = user
            }
            made.room = room
            for number in 0..<count {
                var fork = TestRoom(fork: room, number: number)
                fork.leave(users[number * (size / 2) / count])
                fork.send(.topic, by: creator, stateKey: "", ["topic": .string("fork \(number)")])
                made.forks.append(fork)
            }
        case .quarrel:
            for user in users.prefix(size) { room.join(user) }
            var all: [String: JSONValue] = [:]
            for user in users.prefix(count) { all[user.text] = 50 }
            room.setPowerLevels(levels(all, of: room), by: creator)
            made.room = room
            // Fork by fork, somebody bans its share of all members; so each membership is in conflict.
            let share = (size - count) / count
            for number in 0..<count {
                var fork = TestRoom(fork: room, number: number)
                for target in 0..<share { fork.ban(users[count + number * share + target], by: users[number]) }
                var changed = all
                changed[users[(number + 1) % count].text] = 0
                fork.setPowerLevels(levels(changed, of: room), by: users[number])
                made.forks.append(fork)
            }
        }
        return made
    }
}

extension TestRoom {
    /// A fork, whose events are not those of another fork.
    fileprivate init(fork room: TestRoom, number: Int) {
        self = room
        timestamp += Int64(number)
    }
}
