/// What one destination refuses, and how much it gets at once since. One event that a server cannot read must not keep
/// all others from it, and a server that refuses everything for a while must lose nothing by it: so what is refused alone
/// is set aside and tried again, and is given up only where others pass.
///
/// Times are monotonic. It is memory of this node's: after a restart what is at fault is looked for anew.
struct Refusals: Sendable {
    /// What waits for a destination.
    enum Item: Hashable, Sendable {
        case pdu(position: Int64, eventNID: Int64)
        case edu(nid: Int64)
    }

    /// What to do after a refusal.
    enum Step: Equatable {
        /// Go on with what is next.
        case goOn
        /// Go on without this, for good.
        case drop(Item)
        /// Leave the destination alone for a while.
        case pause
    }

    /// Something that was refused alone, and does not keep back what follows it.
    private struct Suspect {
        var item: Item
        var since: Duration
        var retryAt: Duration
        /// How often it was refused alone.
        var refusals = 1
        /// How often something else passed after such a refusal.
        var confirmations = 0
        /// Whether nothing has passed since the last refusal.
        var isOpen = true
        /// Whether each refusal said that it's about what was sent.
        var isLasting: Bool

        /// Whether something else passed while this was refused.
        var isConfirmed: Bool { confirmations > 0 }
    }

    /// Refusals that do not say what they are about, until what was sent is suspected: at first the server is.
    static let patience = 3
    /// What is given up was refused alone so often, and for so long.
    static let refusalsToDrop = 5
    static let timeToDrop = Duration.seconds(3_600)
    /// The same where nothing else is sent that could pass, and it is said that what was sent is at fault.
    static let timeToDropAlone = Duration.seconds(7 * 86_400)
    /// What was set aside is tried again after so long at first, then after twice as long each time.
    static let firstRetry = Duration.seconds(60)
    static let longestRetry = Duration.seconds(3_600)
    /// Refused one after the other, without anything that passes: then it is the server.
    static let openSuspects = 10
    /// EDUs that may be lost are left out for so long, or until something passes without them.
    static let pauseOfPassing = Duration.seconds(300)
    static let maximumSuspects = 100

    /// How many PDUs or EDUs go into a transaction; `nil` as many as may.
    private(set) var width: Int?
    /// EDUs that may be lost are left out until then.
    private var passingFrom = Duration.zero
    private var failures = 0
    private var suspects: [Suspect] = []

    /// Whether there is nothing to remember.
    var isEmpty: Bool { width == nil && passingFrom == .zero && failures == 0 && suspects.isEmpty }

    /// Whether EDUs that may be lost may be in the next transaction.
    func takesPassing(at now: Duration) -> Bool { now >= passingFrom }

    /// What is passed over for now.
    var setAside: [Item] { suspects.map(\.item) }

    /// What was set aside and is to be tried again now.
    func due(at now: Duration) -> Item? { suspects.first { $0.retryAt <= now }?.item }

    /// Whether others pass while these are refused.
    func areConfirmed(_ items: [Item]) -> Bool {
        items.allSatisfy { item in suspects.contains { $0.item == item && $0.isConfirmed } }
    }

    /// Whether the destination is to be left alone: all that waits was refused, perhaps only because the server is broken.
    var pausesWhenIdle: Bool { suspects.contains { !$0.isConfirmed && !$0.isLasting } }

    /// Whether one more refusal would be taken for the server's own: then something else is tried first, for those that were
    /// refused may be all of one room.
    var wantsProbe: Bool { suspects.count { !$0.isConfirmed } >= Self.openSuspects }

    // MARK: What happens

    /// A transaction was taken.
    /// - Parameter most: how many may be in one.
    mutating func passed(_ items: [Item], most: Int) {
        let isRetry = items.count == 1 && suspects.contains { $0.item == items[0] }
        suspects.removeAll { items.contains($0.item) }
        for index in suspects.indices where suspects[index].isOpen && !items.isEmpty {
            suspects[index].isOpen = false
            suspects[index].confirmations += 1
        }
        failures = 0
        passingFrom = .zero
        if let width, !isRetry, !items.isEmpty { self.width = width >= most ? nil : width * 2 }
    }

    /// A transaction was refused, with an HTTP status.
    /// - Parameters:
    ///   - items: what was in it and must not be lost.
    ///   - withPassing: whether there was something in it that may be.
    ///   - isLasting: whether the refusal is about what was sent, and would be the same again.
    mutating func refused(_ items: [Item], withPassing: Bool, isLasting: Bool, at now: Duration) -> Step {
        // What may be lost is lost, and what may not does not wait for more of it.
        if withPassing { passingFrom = now + Self.pauseOfPassing }
        guard let first = items.first else { return isLasting ? .goOn : .pause }
        if items.count == 1, let index = suspects.firstIndex(where: { $0.item == first }) {
            return refusedAgain(index, isLasting: isLasting, at: now)
        }
        if isLasting, withPassing { return .goOn }
        if !isLasting, width == nil {
            failures += 1
            if failures >= Self.patience { width = 1 }
            return .pause
        }
        guard items.count == 1 else {
            width = max(1, min(items.count, width ?? items.count) / 2)
            return .goOn
        }
        return setAside(first, isLasting: isLasting, at: now)
    }

    /// It is not to be sent any more.
    mutating func forget(_ item: Item) { suspects.removeAll { $0.item == item } }

    /// The destination could not be reached, or is left alone: what was refused while nothing else passed says nothing.
    mutating func interrupted() { suspects.removeAll { !$0.isConfirmed } }

    private mutating func refusedAgain(_ index: Int, isLasting: Bool, at now: Duration) -> Step {
        var suspect = suspects[index]
        suspect.refusals += 1
        suspect.isOpen = true
        suspect.isLasting = suspect.isLasting && isLasting
        // Where a server does not say what is wrong, others must have passed each time.
        let count = suspect.isLasting && suspect.isConfirmed ? suspect.refusals : suspect.confirmations
        let age = now - suspect.since
        let isHopeless =
            (count >= Self.refusalsToDrop && age >= Self.timeToDrop)
            || (suspect.isLasting && age >= Self.timeToDropAlone)
        if case .pdu = suspect.item, isHopeless {
            suspects.remove(at: index)
            return .drop(suspect.item)
        }
        var pause = Self.firstRetry
        for _ in 1..<suspect.refusals where pause < Self.longestRetry { pause += pause }
        suspect.retryAt = now + min(pause, Self.longestRetry)
        suspects[index] = suspect
        return .goOn
    }

    private mutating func setAside(_ item: Item, isLasting: Bool, at now: Duration) -> Step {
        suspects.append(Suspect(item: item, since: now, retryAt: now + Self.firstRetry, isLasting: isLasting))
        guard suspects.count(where: { !$0.isConfirmed }) <= Self.openSuspects else {
            interrupted()
            return .pause
        }
        guard suspects.count > Self.maximumSuspects else { return .goOn }
        // A server that takes some and refuses so many others does not get the oldest of these. EDUs stay where they are.
        let oldest = suspects.firstIndex { suspect in
            guard case .pdu = suspect.item else { return false }
            return suspect.isConfirmed && now - suspect.since >= Self.timeToDrop
        }
        guard let oldest else {
            suspects.removeLast()
            return .pause
        }
        return .drop(suspects.remove(at: oldest).item)
    }
}
