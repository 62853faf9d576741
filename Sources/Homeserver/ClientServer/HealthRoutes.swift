private import HTTPTypes
internal import HomeserverStorage
internal import Logging
public import MatrixAPI
private import SQLDatabase

/// Whether the process is up, and whether it can work; for load balancers and supervisors.
public struct HealthRoutes: RouteGroup {
    private let environment: Environment

    public init(environment: Environment) { self.environment = environment }

    public func register(on router: inout Router) {
        router.onPublic(.health) { _ in .raw(Array("OK\n".utf8), contentType: "text/plain") }
        router.onPublic(.ready) { _ in
            guard await isReady() else {
                return .raw(Array("the database does not answer\n".utf8), contentType: "text/plain", status: 503)
            }
            return .raw(Array("OK\n".utf8), contentType: "text/plain")
        }
    }

    /// Whether the database answers in time and its schema is ours.
    private func isReady() async -> Bool {
        let newest = Schema.migrations.last?.number ?? 0
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                do {
                    return try await environment.database.read {
                        try $0.query("SELECT number FROM schema_version").first?.int(0) ?? 0 >= newest
                    }
                } catch {
                    environment.logger.warning("not ready", metadata: ["cause": "\(error)"])
                    return false
                }
            }
            group.addTask {
                try? await environment.clock.sleep(for: .milliseconds(environment.configuration.timeouts.readiness))
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}

extension Route {
    /// The process is up.
    public static let health = Route("health", .get, "/health", .none)
    /// The database is reachable and its schema is right.
    public static let ready = Route("ready", .get, "/ready", .none)
}
