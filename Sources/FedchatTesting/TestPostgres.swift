private import Foundation
internal import Synchronization

/// A throw-away PostgreSQL cluster for this run of the tests, stopped when the run ends. `FEDCHAT_TEST_POSTGRES`, a
/// libpq URL of a superuser, names another server instead.
public struct TestPostgres: Sendable {
    /// `nil` if PostgreSQL is not installed.
    public static let shared = TestPostgres()

    /// The URL of its first database.
    public let url: String
    private let folder: String?
    private static let databases = Atomic(0)

    private static let script = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("script/postgres-for-tests").path

    private init?() {
        if let given = ProcessInfo.processInfo.environment["FEDCHAT_TEST_POSTGRES"] {
            url = given
            folder = nil
            return
        }
        let folder = NSTemporaryDirectory() + "/fedchat-postgres-\(ProcessInfo.processInfo.processIdentifier)"
        guard let url = Self.run(["start", folder, String(ProcessInfo.processInfo.processIdentifier)]) else {
            FileHandle.standardError.write(
                Data("\n*** PostgreSQL DOES NOT START: THE TESTS OF ITS ENGINE ARE SKIPPED ***\n\n".utf8))
            return nil
        }
        self.url = url
        self.folder = folder
    }

    /// The URL of a new, empty database.
    public func makeDatabase() throws -> String {
        guard let folder else { throw NoScript() }
        let name = "test\(Self.databases.add(1, ordering: .relaxed).newValue)"
        guard let url = Self.run(["create", folder, name]) else { throw NoScript() }
        return url
    }

    /// There is no cluster of our own.
    public struct NoScript: Error {}

    /// A cluster of its own for a test that restarts or breaks it.
    public static func separate() throws -> (url: String, restart: @Sendable () -> Bool, stop: @Sendable () -> Void) {
        let folder = NSTemporaryDirectory() + "/fedchat-postgres-\(UUID().uuidString)"
        guard let url = run(["start", folder, String(ProcessInfo.processInfo.processIdentifier)]) else {
            throw NoScript()
        }
        return (url, { run(["restart", folder]) != nil }, { _ = run(["stop", folder]) })
    }

    /// Runs the script and gives what it prints, without the line's end; `nil` if it fails.
    private static func run(_ arguments: [String]) -> String? {
        guard let run = try? ProgramRun.run([script] + arguments), run.status == 0 else { return nil }
        return run.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}
