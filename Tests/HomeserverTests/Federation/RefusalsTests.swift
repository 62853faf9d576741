import Testing

@testable import Homeserver

@Suite("What a destination refuses") struct RefusalsTests {
    private func pdu(_ number: Int64) -> Refusals.Item { .pdu(position: number, eventNID: number) }

    /// Gives a destination what waits, as it may have it, until it is to be left alone or nothing is left.
    private final class Play {
        var refusals = Refusals()
        var waiting: [Refusals.Item]
        var passed: [Refusals.Item] = []
        var dropped: [Refusals.Item] = []
        var now = Duration.zero
        var requests = 0

        init(waiting: [Refusals.Item]) { self.waiting = waiting }

        /// One run. Returns whether it ended with a pause.
        /// - Parameter refuses: whether a transaction is refused, and whether it is said that it is at fault.
        func run(_ refuses: ([Refusals.Item]) -> (Bool, Bool)) -> Bool {
            while true {
                let batch: [Refusals.Item]
                if let due = refusals.due(at: now) {
                    batch = [due]
                } else {
                    let aside = refusals.setAside
                    batch = Array(waiting.filter { !aside.contains($0) }.prefix(refusals.width ?? 50))
                }
                guard !batch.isEmpty else {
                    let pauses = refusals.pausesWhenIdle
                    if pauses { refusals.interrupted() }
                    return pauses
                }
                requests += 1
                let (isRefused, isLasting) = refuses(batch)
                guard isRefused else {
                    refusals.passed(batch, most: 50)
                    passed += batch
                    waiting.removeAll { batch.contains($0) }
                    continue
                }
                switch refusals.refused(batch, withPassing: false, isLasting: isLasting, at: now) {
                case .goOn: break
                case .drop(let item):
                    dropped.append(item)
                    waiting.removeAll { $0 == item }
                case .pause:
                    refusals.interrupted()
                    return true
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `what is refused alone is set aside, and given up once others have passed for long enough`(isLasting: Bool) {
        let poison = pdu(61)
        let play = Play(waiting: (0..<130).map(pdu))
        let refuses = { (batch: [Refusals.Item]) in (batch.contains(poison), isLasting) }
        for _ in 0..<5 where play.waiting.count > 1 {
            _ = play.run(refuses)
            play.now += .seconds(60)
        }
        #expect(play.waiting == [poison])
        #expect(play.passed == (0..<130).filter { $0 != 61 }.map(pdu))
        #expect(play.requests < 60)
        // For less than an hour it is tried now and then.
        let requests = play.requests
        for minute in 0..<50 {
            play.waiting.append(pdu(Int64(1_000 + minute)))
            #expect(!play.run(refuses))
            play.now += .seconds(60)
        }
        #expect(play.waiting == [poison] && play.dropped.isEmpty)
        #expect((52...58).contains(play.requests - requests))
        for minute in 0..<120 {
            play.waiting.append(pdu(Int64(2_000 + minute)))
            #expect(!play.run(refuses))
            play.now += .seconds(60)
        }
        #expect(play.dropped == [poison] && play.waiting.isEmpty)
        for _ in 0..<6 { play.refusals.passed([pdu(9_999)], most: 50) }
        #expect(play.refusals.isEmpty)
    }

    @Test(arguments: [true, false])
    func `a server that refuses everything loses nothing, and is asked a few times before each pause`(isLasting: Bool) {
        let play = Play(waiting: (0..<60).map(pdu))
        for _ in 0..<200 {
            let before = play.requests
            #expect(play.run { _ in (true, isLasting) })
            #expect(play.requests - before <= Refusals.openSuspects + 8)
            play.now += .seconds(3_600)
        }
        #expect(play.waiting.count == 60 && play.dropped.isEmpty && play.passed.isEmpty)
        _ = play.run { _ in (false, false) }
        #expect(play.passed == (0..<60).map(pdu))
    }

    @Test func `a server that breaks while something is set aside does not lose it by that`() {
        let poison = pdu(0)
        let play = Play(waiting: (0..<3).map(pdu))
        for _ in 0..<5 {
            _ = play.run { ($0.contains(poison), false) }
            play.now += .seconds(60)
        }
        #expect(play.waiting == [poison])
        for hour in 0..<100 {
            play.waiting = [poison, pdu(Int64(100 + hour))]
            _ = play.run { _ in (true, false) }
            play.now += .seconds(3_600)
        }
        #expect(play.dropped.isEmpty)
        _ = play.run { _ in (false, false) }
        #expect(play.passed.contains(poison))
    }

    @Test func `what is refused alone does not keep back what is new, and a server that is broken is left alone`() {
        let poison = pdu(0)
        let refuses = { (batch: [Refusals.Item]) in (batch.contains(poison), true) }
        let play = Play(waiting: [poison])
        #expect(!play.run(refuses))
        play.waiting.append(pdu(1))
        #expect(!play.run(refuses))
        #expect(play.passed == [pdu(1)])
        // Where the server does not say what is wrong, it is left alone.
        let other = Play(waiting: [poison])
        for _ in 0..<10 { #expect(other.run { _ in (true, false) }) }
        #expect(other.requests == 10)
    }

    @Test func `an EDU is never given up, and what is no more is forgotten`() {
        let poison = Refusals.Item.edu(nid: 7)
        let refuses = { (batch: [Refusals.Item]) in (batch.contains(poison), true) }
        let play = Play(waiting: [poison])
        for hour in 0..<100 {
            play.waiting.append(pdu(Int64(hour)))
            #expect(!play.run(refuses))
            play.now += .seconds(3_600)
        }
        #expect(play.dropped.isEmpty && play.waiting == [poison])
        #expect(play.requests < 220)
        play.refusals.forget(poison)
        #expect(play.refusals.setAside.isEmpty)
    }

    @Test func `before a server is given up something else is tried, and what is alone is given up after a week`() {
        var refusals = Refusals()
        for number in 0..<Int64(Refusals.openSuspects) {
            #expect(!refusals.wantsProbe)
            #expect(refusals.refused([pdu(number)], withPassing: false, isLasting: true, at: .zero) == .goOn)
        }
        #expect(refusals.wantsProbe)
        refusals.passed([pdu(99)], most: 50)
        #expect(!refusals.wantsProbe)

        var alone = Refusals()
        var step = alone.refused([pdu(1)], withPassing: false, isLasting: true, at: .zero)
        for hours in stride(from: 24, to: 168, by: 24) {
            #expect(step == .goOn)
            step = alone.refused([pdu(1)], withPassing: false, isLasting: true, at: .seconds(3_600 * hours))
        }
        #expect(step == .goOn)
        step = alone.refused([pdu(1)], withPassing: false, isLasting: true, at: Refusals.timeToDropAlone)
        #expect(step == .drop(pdu(1)))
    }

    @Test func `what may be lost is left out for a while after a refusal, before anything is suspected`() {
        var refusals = Refusals()
        #expect(refusals.takesPassing(at: .zero))
        let step = refusals.refused([pdu(1)], withPassing: true, isLasting: true, at: .zero)
        #expect(step == .goOn)
        #expect(refusals.setAside.isEmpty && refusals.width == nil)
        #expect(!refusals.takesPassing(at: .seconds(299)) && refusals.takesPassing(at: .seconds(300)))
        refusals.passed([pdu(1)], most: 50)
        #expect(refusals.takesPassing(at: .zero) && refusals.isEmpty)
        // Alone they are dropped, and a server that is broken is left alone.
        let steps = [true, false].map { refusals.refused([], withPassing: true, isLasting: $0, at: .zero) }
        #expect(steps == [.goOn, .pause])
    }

    @Test func `of all too much that is refused while others pass the oldest goes, if it is old enough`() {
        let play = Play(waiting: [])
        let most = Int64(Refusals.maximumSuspects)
        let refuses = { (batch: [Refusals.Item]) in (batch.contains { $0.isEven }, true) }
        for number in 0..<most {
            play.waiting += [pdu(2 * number), pdu(2 * number + 1)]
            #expect(!play.run(refuses))
        }
        play.waiting += [pdu(2 * most), pdu(2 * most + 1)]
        // A server that has too much to do for a while loses nothing by it.
        #expect(play.run(refuses))
        #expect(play.dropped.isEmpty)
        play.now += Refusals.timeToDrop
        _ = play.run(refuses)
        #expect(play.dropped == [pdu(0)])
        #expect(play.refusals.setAside.count == Refusals.maximumSuspects)
    }
}

extension Refusals.Item {
    fileprivate var isEven: Bool {
        if case .pdu(let position, _) = self { position.isMultiple(of: 2) } else { false }
    }
}
