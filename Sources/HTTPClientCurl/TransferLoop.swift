private import CCurl
internal import HTTPMessages
internal import Synchronization

#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// The thread on which all transfers of a client run, and its inbox.
final class TransferLoop: Sendable {
    private struct Inbox {
        var submitted: [Transfer] = []
        var cancelled: [Transfer] = []
        var resumed: [Transfer] = []
        /// Submitted and not yet finished.
        var outstanding = 0
        var isStopped = false
    }

    private let inbox = Mutex(Inbox())
    private let limits: CurlClientLimits
    private let bundle: CertificateBundle
    // Only the thread uses it, but for curl_multi_wakeup, which any may call until the thread has ended.
    private nonisolated(unsafe) let multi: UnsafeMutableRawPointer

    private static let isReady: Bool = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    init(_ configuration: CurlClient.Configuration, _ bundle: CertificateBundle) throws(HTTPClientError) {
        guard Self.isReady, let multi = curl_multi_init() else { throw .other("libcurl does not start") }
        limits = configuration.limits
        self.bundle = bundle
        self.multi = multi
        fedchat_curl_multi_set_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limits.maximumConnections)
        fedchat_curl_multi_set_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, limits.maximumConnectionsPerHost)
        fedchat_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, limits.maximumConnections)
        try startThread()
    }

    deinit { curl_multi_cleanup(multi) }

    /// Hands a transfer to the thread, which finishes it in any case.
    func submit(_ transfer: Transfer) {
        let refusal = inbox.withLock { inbox -> HTTPClientError? in
            if inbox.isStopped { return .cancelled }
            let most = limits.maximumTransfers.addingReportingOverflow(limits.maximumWaiting).partialValue
            if inbox.outstanding >= most { return .overloaded }
            inbox.outstanding += 1
            inbox.submitted.append(transfer)
            return nil
        }
        if let refusal {
            transfer.finish(.failure(refusal))
        } else {
            curl_multi_wakeup(multi)
        }
    }

    /// Ends a transfer early, also one that is not yet submitted.
    func cancel(_ transfer: Transfer) {
        transfer.isCancelled.store(true, ordering: .releasing)
        let wakes = inbox.withLock { inbox -> Bool in
            guard !inbox.isStopped else { return false }
            inbox.cancelled.append(transfer)
            return true
        }
        if wakes { curl_multi_wakeup(multi) }
    }

    /// Goes on with a transfer that was held on because nobody took what had come.
    func resume(_ transfer: Transfer) {
        let wakes = inbox.withLock { inbox -> Bool in
            guard !inbox.isStopped else { return false }
            inbox.resumed.append(transfer)
            return true
        }
        if wakes { curl_multi_wakeup(multi) }
    }

    func stop() {
        inbox.withLock { $0.isStopped = true }
        curl_multi_wakeup(multi)
    }

    // MARK: On the thread

    private func startThread() throws(HTTPClientError) {
        var thread = pthread_t()
        let retained = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { context in
                // A broken connection must be an error of its transfer, not a signal that ends the process.
                var signals = sigset_t()
                sigemptyset(&signals)
                sigaddset(&signals, SIGPIPE)
                pthread_sigmask(SIG_BLOCK, &signals, nil)
                if let context { Unmanaged<TransferLoop>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, retained.toOpaque())
        guard code == 0 else {
            retained.release()
            throw .other("no thread: \(code)")
        }
        pthread_detach(thread)
    }

    private func run() {
        var active: [UnsafeMutableRawPointer: Transfer] = [:]
        var waiting: [Transfer] = []
        var nextLook = ContinuousClock.now
        while takeIn(&active, &waiting) {
            admit(&active, &waiting)
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            var result = CURLE_OK
            while let easy = fedchat_curl_multi_next_done(multi, &result) {
                guard let transfer = active[easy] else { continue }
                end(transfer, transfer.outcome(result), &active)
            }
            let now = ContinuousClock.now
            if now >= nextLook {
                nextLook = now + .milliseconds(250)
                endOverdue(at: now, &active, &waiting)
            }
            if !waiting.isEmpty, active.count < limits.maximumTransfers { continue }
            curl_multi_poll(multi, nil, 0, active.isEmpty && waiting.isEmpty ? 60_000 : 250, nil)
        }
        for transfer in active.values { end(transfer, .failure(.cancelled), &active) }
        for transfer in waiting { transfer.finish(.failure(.cancelled)) }
    }

    /// - Returns: whether to go on.
    private func takeIn(_ active: inout [UnsafeMutableRawPointer: Transfer], _ waiting: inout [Transfer]) -> Bool {
        let (submitted, cancelled, resumed, isStopped) = inbox.withLock { inbox in
            defer {
                inbox.submitted = []
                inbox.cancelled = []
                inbox.resumed = []
            }
            return (inbox.submitted, inbox.cancelled, inbox.resumed, inbox.isStopped)
        }
        waiting += submitted
        for transfer in resumed {
            if let easy = transfer.easy, active[easy] === transfer { transfer.resume() }
        }
        for transfer in cancelled {
            if let easy = transfer.easy, active[easy] === transfer { end(transfer, .failure(.cancelled), &active) }
        }
        if !cancelled.isEmpty {
            for transfer in waiting where transfer.isCancelled.load(ordering: .acquiring) {
                finish(transfer, .failure(.cancelled))
            }
            waiting.removeAll { $0.isCancelled.load(ordering: .acquiring) }
        }
        return !isStopped
    }

    /// Starts as many of those that wait as there is place for.
    private func admit(_ active: inout [UnsafeMutableRawPointer: Transfer], _ waiting: inout [Transfer]) {
        guard !waiting.isEmpty else { return }
        let now = ContinuousClock.now
        var taken = 0
        for transfer in waiting {
            guard active.count < limits.maximumTransfers else { break }
            taken += 1
            if transfer.isCancelled.load(ordering: .acquiring) {
                finish(transfer, .failure(.cancelled))
            } else if now >= transfer.deadline {
                finish(transfer, .failure(.timedOut))
            } else if let easy = transfer.prepare(at: now, bundle.path), curl_multi_add_handle(multi, easy) == CURLM_OK
            {
                active[easy] = transfer
            } else {
                transfer.release()
                finish(transfer, .failure(.other("libcurl refuses the request")))
            }
        }
        waiting.removeFirst(taken)
    }

    /// libcurl does not time a transfer that waits for a connection of its own limits.
    private func endOverdue(
        at now: ContinuousClock.Instant, _ active: inout [UnsafeMutableRawPointer: Transfer],
        _ waiting: inout [Transfer]
    ) {
        for transfer in active.values where now >= transfer.deadline { end(transfer, .failure(.timedOut), &active) }
        for transfer in waiting where now >= transfer.deadline { finish(transfer, .failure(.timedOut)) }
        waiting.removeAll { now >= $0.deadline }
    }

    private func end(
        _ transfer: Transfer, _ result: Result<ClientResponse, HTTPClientError>,
        _ active: inout [UnsafeMutableRawPointer: Transfer]
    ) {
        if let easy = transfer.easy {
            curl_multi_remove_handle(multi, easy)
            active[easy] = nil
        }
        transfer.release()
        finish(transfer, result)
    }

    private func finish(_ transfer: Transfer, _ result: Result<ClientResponse, HTTPClientError>) {
        inbox.withLock { $0.outstanding -= 1 }
        transfer.finish(result)
    }
}
