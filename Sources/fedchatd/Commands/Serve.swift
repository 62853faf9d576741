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
        discussion: "SIGTERM and SIGINT end it; SIGHUP reads the TLS certificates and the rate limits again.")

    @OptionGroup var options: ConfigurationOption

    mutating func run() async throws {
        let loaded = try options.load()
        let file = options.config
        _ = HTTPServer.raiseDescriptorLimit()
        let database = try await Wiring.database(loaded)
        let metrics = loaded.homeserver.metricsEnabled ? PrometheusMetrics.bootstrap() : nil
        let environment = try Wiring.environment(loaded, database)
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
                await Self.obeySignals(server, instance, file)
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

    private static func obeySignals(_ server: HTTPServer, _ instance: Instance, _ file: String) async {
        let logger = instance.environment.logger
        for await signal in await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup) {
            if signal != .sighup {
                server.stop()
                return
            }
            do {
                try server.reloadCertificates()
                instance.limiter.replace(try ConfigurationFile.load(file).homeserver.rateLimits)
                logger.notice("read again: certificates, rate limits")
            } catch {
                logger.error("not read again", metadata: ["cause": "\(error)"])
            }
        }
    }
}
