internal import MatrixModel

/// What a user has not read of a room, by thread, as of a place in its timeline.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications>
public struct UnreadRecord: Sendable, Hashable {
    /// The unread events of one thread.
    public struct Thread: Sendable, Hashable {
        /// Events that notify.
        public var notifications = 0
        /// Those of them that highlight.
        public var highlights = 0
        /// The place up to which the user has read.
        public var read: Int64
        /// The place of the last event that notifies; nothing where none does.
        public var last: Int64?
        /// The place up to which the thread is counted.
        public var counted: Int64

        /// A thread of which nothing is unread.
        public init(read: Int64, counted: Int64) {
            self.read = read
            self.counted = counted
        }

        /// Notes that the user has read up to a place. What was counted in between is to be counted again.
        public mutating func reach(_ place: Int64) {
            guard place > read else { return }
            read = place
            counted = last.map { place < $0 } == true ? place : max(counted, place)
            clear()
        }

        /// Forgets what was counted.
        public mutating func clear() {
            notifications = 0
            highlights = 0
            last = nil
        }
    }

    /// The name of what is in no thread. Spec: <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>
    public static let main = "main"

    /// The place up to which the threads are counted that are not in `threads`: nothing of them is unread.
    public var counted: Int64
    /// When the rules changed by which was counted: a position of the stream `account_data`.
    public var rules: Int64
    /// By the root's id, and `main`, which is always there.
    public var threads: [String: Thread]

    /// A room of which nothing is counted before a place.
    public init(from place: Int64, rules: Int64) {
        counted = place
        self.rules = rules
        threads = [Self.main: Thread(read: place, counted: place)]
    }

    /// The place up to which everything is counted.
    public var complete: Int64 { threads.values.reduce(counted) { min($0, $1.counted) } }

    /// Has everything counted again that is not read: the rules have changed.
    public mutating func recount(rules: Int64) {
        self.rules = rules
        for name in threads.keys { recount(name) }
    }

    /// Has a thread counted again, from where the user has read to.
    public mutating func recount(_ name: String) {
        threads[name]?.clear()
        if let read = threads[name]?.read { threads[name]?.counted = read }
    }

    /// Notes that everything up to a place is counted, and forgets threads of which nothing is unread.
    public mutating func reach(_ place: Int64) {
        counted = max(counted, place)
        threads = threads.mapValues { thread in
            var thread = thread
            thread.counted = max(thread.counted, place)
            return thread
        }.filter { $0.key == Self.main || $0.value.last != nil || $0.value.counted < counted }
    }

    // MARK: As it is stored

    init?(counted: Int64, rules: Int64, threads: [UInt8]) {
        guard let json = try? JSONValue.parse(threads), let members = json.object else { return nil }
        self.init(from: counted, rules: rules)
        for (name, value) in members {
            let numbers = value.elements.map(\.integer)
            guard numbers.count == 5, let notifications = numbers[0], let highlights = numbers[1],
                let read = numbers[2], let counted = numbers[4]
            else { return nil }
            var thread = Thread(read: read, counted: counted)
            thread.notifications = Int(clamping: notifications)
            thread.highlights = Int(clamping: highlights)
            thread.last = numbers[3]
            self.threads[name] = thread
        }
    }

    var stored: [UInt8] {
        JSONValue.object(
            threads.mapValues { thread in
                .array([
                    .integer(Int64(thread.notifications)), .integer(Int64(thread.highlights)), .integer(thread.read),
                    thread.last.map { .integer($0) } ?? .null, .integer(thread.counted),
                ])
            }
        ).serialized()
    }
}
