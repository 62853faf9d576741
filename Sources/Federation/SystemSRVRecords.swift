private import CResolver
private import Foundation
private import Synchronization

/// SRV records as the system's resolver finds them. Its calls block, so they run on threads of their own, a few at once;
/// answers are kept for their time to live.
public final class SystemSRVRecords: SRVResolving {
    private struct Kept {
        var records: [SRVRecord]
        var until: Duration
    }

    private struct Waiting {
        var name: String
        var continuation: CheckedContinuation<Answer, Never>
    }

    /// Records; whether the answer is one at all, even "none".
    private struct Answer {
        var records: [SRVRecord]
        var isFinal: Bool
    }

    private struct State {
        var kept: [String: Kept] = [:]
        var waiting: [Waiting] = []
        var threads = 0
    }

    private let now: @Sendable () -> Duration
    private let nameserver: (address: String, port: UInt16)?
    private let state = Mutex(State())

    /// - Parameters:
    ///   - nameserver: an IPv4 address and port to ask instead of the system's name servers.
    ///   - now: a monotonic time.
    public init(nameserver: (address: String, port: UInt16)? = nil, now: @escaping @Sendable () -> Duration) {
        self.nameserver = nameserver
        self.now = now
    }

    public func records(of name: String) async -> [SRVRecord] {
        let time = now()
        if let kept = state.withLock({ $0.kept[name] }), kept.until > time { return kept.records }
        let answer = await ask(name)
        let seconds = answer.records.map(\.timeToLive).min() ?? FederationLimits.srvNoneKept
        let kept = Kept(
            records: answer.records,
            until: time
                + .seconds(
                    answer.isFinal
                        ? min(max(seconds, FederationLimits.srvKeptLeast), FederationLimits.srvKeptMost)
                        : FederationLimits.srvKeptLeast))
        state.withLock { state in
            if state.kept.count >= FederationLimits.discoveryEntries {
                state.kept = state.kept.filter { $0.value.until > time }
            }
            if state.kept.count >= FederationLimits.discoveryEntries { state.kept.removeAll() }
            state.kept[name] = kept
        }
        return answer.records
    }

    private func ask(_ name: String) async -> Answer {
        await withCheckedContinuation { continuation in
            let (isRefused, startsThread) = state.withLock { state in
                guard state.waiting.count < FederationLimits.srvWaiting else { return (true, false) }
                state.waiting.append(Waiting(name: name, continuation: continuation))
                guard state.threads < FederationLimits.srvThreads else { return (false, false) }
                state.threads += 1
                return (false, true)
            }
            if isRefused { continuation.resume(returning: Answer(records: [], isFinal: false)) }
            if startsThread {
                let thread = Thread { self.work() }
                thread.name = "srv"
                thread.start()
            }
        }
    }

    /// Looks up what waits, until nothing does.
    private func work() {
        while true {
            let next = state.withLock { state -> Waiting? in
                guard !state.waiting.isEmpty else {
                    state.threads -= 1
                    return nil
                }
                return state.waiting.removeFirst()
            }
            guard let next else { return }
            next.continuation.resume(returning: lookUp(next.name))
        }
    }

    private func lookUp(_ name: String) -> Answer {
        let maximum = Int(FEDCHAT_SRV_MAXIMUM)
        let buffer = UnsafeMutablePointer<fedchat_srv_record>.allocate(capacity: maximum)
        buffer.initialize(repeating: fedchat_srv_record(), count: maximum)
        defer {
            buffer.deinitialize(count: maximum)
            buffer.deallocate()
        }
        let count = Int(fedchat_srv_query(name, nameserver?.address, nameserver?.port ?? 0, buffer))
        guard count > 0 else { return Answer(records: [], isFinal: count == Int(FEDCHAT_SRV_NONE)) }
        let records = (0..<min(count, maximum)).map { index -> SRVRecord in
            SRVRecord(
                priority: Int(buffer[index].priority), weight: Int(buffer[index].weight),
                port: Int(buffer[index].port), target: String(cString: fedchat_srv_target(buffer + index)),
                timeToLive: Int(buffer[index].ttl))
        }
        return Answer(records: records, isFinal: true)
    }
}
