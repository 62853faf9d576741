internal import HummingbirdCore
public import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
import Synchronization

#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// An HTTP/1.1 server: listens, with or without TLS, and lets each listener's handler answer.
public final class HTTPServer: Sendable {
    private typealias ListeningServer = Server<ConnectionSetup>

    private let setups: [ConnectionSetup]
    private let limits: HTTPServerLimits
    private let logger: Logger
    private let stopSignal = AsyncStream.makeStream(of: Void.self)

    /// Reads the certificates; nothing is listened on yet.
    /// - Throws: ``HTTPServerError/badCertificate(path:reason:)``.
    public init(
        listeners: [HTTPListener], limits: HTTPServerLimits = HTTPServerLimits(), logger: Logger
    ) throws(HTTPServerError) {
        var setups: [ConnectionSetup] = []
        for listener in listeners {
            let certificate: CertificateFiles? =
                if let tls = listener.tls { try CertificateFiles(tls) } else { nil }
            setups.append(ConnectionSetup(listener: listener, certificate: certificate, limits: limits))
        }
        self.setups = setups
        self.limits = limits
        self.logger = logger
    }

    /// Reads the certificate files again, for connections made from now on. All listeners are tried; those whose files
    /// are unusable keep what they had.
    /// - Throws: the first error.
    public func reloadCertificates() throws(HTTPServerError) {
        var failure: HTTPServerError?
        for setup in setups {
            do {
                try setup.certificate?.reload()
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Lets the process open as many files and connections as the system permits it; the usual 1024 are soon used up.
    /// To be called once, at start.
    /// - Returns: how many that are.
    @discardableResult
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        let before = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        if setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) != 0 { limit.rlim_cur = before }
        return Int(clamping: limit.rlim_cur)
    }

    /// Makes ``run(onAccepting:)`` end: no more connections, idle ones close, requests in flight get a short time
    /// before their tasks are cancelled, and at the deadline all is closed.
    public func stop() {
        stopSignal.continuation.finish()
    }

    /// Serves until ``stop()``, a graceful shutdown of the service group around, or cancellation (which closes at
    /// once). To be called once.
    /// - Parameter onAccepting: called when every listener accepts connections.
    /// - Throws: ``HTTPServerError/cannotListen(bind:port:reason:)``; then no listener is open any more.
    public func run(
        onAccepting: @escaping @Sendable ([AcceptingListener]) async -> Void = { _ in }
    ) async throws(HTTPServerError) {
        let accepting = Accepting(expected: setups.count, whenAll: onAccepting)
        if setups.isEmpty { await onAccepting([]) }
        let servers = setups.enumerated().map { makeServer($1, index: $0, accepting) }
        let failure = await withTaskGroup(of: Ending.self) { group in
            for (setup, server) in zip(setups, servers) {
                group.addTask { await Self.run(server, setup.listener) }
            }
            group.addTask {
                await self.stopRequested()
                return .stopRequested
            }
            return await supervise(&group, servers)
        }
        if let failure { throw failure }
    }

    private enum Ending: Sendable {
        case closed
        case failed(HTTPServerError)
        case stopRequested
        case shutDown
        case deadlinePassed
    }

    private func supervise(
        _ group: inout TaskGroup<Ending>, _ servers: [ListeningServer]
    ) async -> HTTPServerError? {
        var open = servers.count
        var failure: HTTPServerError?
        while let ending = await group.next() {
            switch ending {
            case .closed:
                open -= 1
            case .failed(let error):
                open -= 1
                failure = failure ?? error
                group.cancelAll()
            case .stopRequested:
                let deadline = limits.shutdownDeadline
                for server in servers {
                    group.addTask {
                        try? await server.shutdownGracefully()
                        return .shutDown
                    }
                }
                group.addTask {
                    try? await Task.sleep(for: deadline)
                    return .deadlinePassed
                }
            case .deadlinePassed:
                group.cancelAll()
            case .shutDown:
                break
            }
            // With none open, what is left only waits for a stop or a deadline.
            if open == 0 { group.cancelAll() }
        }
        return failure
    }

    private func stopRequested() async {
        let signal = stopSignal
        await withGracefulShutdownHandler {
            for await _ in signal.stream {}
        } onGracefulShutdown: {
            signal.continuation.finish()
        }
    }

    private static func run(_ server: ListeningServer, _ listener: HTTPListener) async -> Ending {
        do {
            try await server.run()
            return .closed
        } catch is ListeningServer.Error {
            return .closed
        } catch let error as IOError {
            let reason = String(cString: strerror(error.errnoCode))
            return .failed(.cannotListen(bind: listener.bind, port: listener.port, reason: reason))
        } catch {
            return .failed(.cannotListen(bind: listener.bind, port: listener.port, reason: "\(error)"))
        }
    }

    private func makeServer(_ setup: ConnectionSetup, index: Int, _ accepting: Accepting) -> ListeningServer {
        let listener = setup.listener
        let maximum = min(limits.maximumConnections, Self.descriptorShare(of: setups.count))
        let bind = listener.bind == "::" && !Self.hasIPv6 ? "0.0.0.0" : listener.bind
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        return Server(
            childChannelSetup: setup,
            configuration: ServerConfiguration(
                address: .hostname(bind, port: listener.port), backlog: limits.backlog,
                availableConnectionsDelegate: MaximumAvailableConnections(maximum, logger: quiet)),
            onServerRunning: { channel in
                await accepting.add(
                    AcceptingListener(
                        index: index, bind: listener.bind, port: channel.localAddress?.port ?? listener.port,
                        isTLS: listener.tls != nil))
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: quiet)
    }

    /// The connections that one of `listeners` listeners may hold so that descriptors are left for files, the database and
    /// other servers. Accepting without descriptors would fail again and again, at full speed.
    private static func descriptorShare(of listeners: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        let all = Int(clamping: limit.rlim_cur)
        let kept = min(1024, all / 4 + 32)
        return max(16, (all - kept) / max(1, listeners))
    }

    /// Some containers have no IPv6 at all; `::` then means every IPv4 address.
    private static let hasIPv6: Bool = {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }()
}

/// Counts the listeners that accept.
private final class Accepting: Sendable {
    private let listeners = Mutex<[AcceptingListener]>([])
    private let expected: Int
    private let whenAll: @Sendable ([AcceptingListener]) async -> Void

    init(expected: Int, whenAll: @escaping @Sendable ([AcceptingListener]) async -> Void) {
        self.expected = expected
        self.whenAll = whenAll
    }

    func add(_ listener: AcceptingListener) async {
        let all = listeners.withLock { listeners -> [AcceptingListener]? in
            listeners.append(listener)
            return listeners.count == expected ? listeners.sorted { $0.index < $1.index } : nil
        }
        if let all { await whenAll(all) }
    }
}
