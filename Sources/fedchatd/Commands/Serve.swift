import ArgumentParser
import Federation
import HTTPServer
import Homeserver
import Logging
import SQLDatabase
import UnixSignals

/// `fedchatd serve`, and `fedchatd` alone: runs the homeserver in the foreground.
struct Serve: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs the homeserver.",
        discussion: """
            SIGTERM and SIGINT end it. SIGHUP reads the configuration and the TLS certificates again, and takes of the \
            configuration log.*, rate_limits.*, registration.* (but for password_hash_cost), federation.allow, \
            federation.deny and what policy_server.* refuses; all else is taken at the next start.
            """)

    @OptionGroup var options: ConfigurationOption

    mutating func run() async throws {
        let loaded = try options.load()
        let file = options.config
        _ = HTTPServer.raiseDescriptorLimit()
        let database = try await Wiring.database(loaded)
        let metrics = loaded.homeserver.metricsEnabled ? PrometheusMetrics.bootstrap() : nil
        let log = LogSettings(loaded)
        let environment = try Wiring.environment(loaded, database, log: log)
        let logger = environment.logger
        let clock = environment.clock
        let instance = Instance(
            environment, resolver: SystemSRVRecords(now: { clock.monotonic() }), version: Fedchatd.version,
            metrics: metrics)
        let listeners = loaded.effectiveListeners.map { listener in
            HTTPListener(
                bind: listener.bind, port: listener.port,
                tls: listener.certificate.flatMap { certificate in
                    listener.privateKey.map { .init(certificatePath: certificate, privateKeyPath: $0) }
                },
                trustsForwarded: listener.trustsForwarded, handler: instance.handler(for: listener.resources))
        }
        let server: HTTPServer
        do { server = try HTTPServer(listeners: listeners, logger: logger) } catch {
            throw ExitWith.configuration("\(file): listeners: \(error)")
        }
        if loaded.listeners == nil {
            logger.notice("federation needs a listener with a TLS certificate, or a proxy; only port 8008 is open")
        }
        let name = environment.serverName
        // Before anybody can know that the server runs: untrapped, SIGHUP would end it.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)

        let failure = await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                do throws(HTTPServerError) {
                    try await server.run { accepting in
                        for listener in accepting {
                            logger.notice(
                                "listening",
                                metadata: [
                                    "bind": "\(listener.bind)", "port": "\(listener.port)",
                                    "tls": "\(listener.isTLS)", "server": "\(name)",
                                ])
                        }
                    }
                    return .server(nil)
                } catch { return .server(error) }
            }
            group.addTask {
                await instance.run()
                return .background
            }
            group.addTask {
                await Self.obey(signals, server, instance, log, file)
                return .signals
            }
            var failure: HTTPServerError?
            for await ending in group {
                if case .server(let error) = ending {
                    failure = error
                    group.cancelAll()
                }
            }
            return failure
        }
        await database.close()
        if let failure { throw ExitWith.unreachable("\(failure)") }
        logger.notice("stopped")
    }

    private enum Ending: Sendable {
        case server(HTTPServerError?)
        case background
        case signals
    }

    private static func obey(
        _ signals: UnixSignalsSequence, _ server: HTTPServer, _ instance: Instance, _ log: LogSettings, _ file: String
    ) async {
        let logger = instance.environment.logger
        for await signal in signals {
            if signal != .sighup {
                server.stop()
                return
            }
            do {
                let loaded = try ConfigurationFile.load(file)
                log.replace(with: loaded)
                instance.reload(loaded.homeserver)
                try server.reloadCertificates()
                logger.notice("read again: certificates, log, rate limits, registration, lists of servers, policy")
            } catch {
                logger.error("not read again", metadata: ["cause": "\(error)"])
            }
        }
    }
}
