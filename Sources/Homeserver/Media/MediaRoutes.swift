public import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
private import SQLDatabase

/// All handlers of media, and what they share.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#content-repository>
public struct MediaRoutes: RouteGroup {
    private let environment: Environment
    private let files: MediaFiles
    private let groups: [any RouteGroup]

    /// Starts the threads that read and write files. The folder need not be there; the one above it must.
    public init(environment: Environment, federation: FederationClient) {
        let configuration = environment.configuration
        let files = MediaFiles(
            directory: configuration.media.directory, random: environment.random, environment.blockingWork)
        let reader = MediaReader(
            environment: environment, files: files,
            remote: RemoteMedia(environment: environment, federation: federation, files: files))
        let thumbnailer = Thumbnailer(
            files: files, timeout: .milliseconds(configuration.timeouts.thumbnail), logger: environment.logger)
        self.environment = environment
        self.files = files
        groups = [
            Uploading(environment: environment, files: files),
            Downloading(environment: environment, reader: reader, thumbnailer: thumbnailer),
            MediaFederating(environment: environment, reader: reader, thumbnailer: thumbnailer),
        ]
    }

    public func register(on router: inout Router) {
        for group in groups { group.register(on: &router) }
    }

    /// Forgets uploads that were announced and never came, and removes what interrupted ones left. To be called now and
    /// then.
    public func sweep() async throws {
        let now = environment.clock.now()
        let dropped = try await environment.database.write {
            try MediaStore($0).deletePending(before: now - environment.configuration.timeouts.pendingUpload)
        }
        if dropped > 0 { environment.logger.info("announced uploads expired", metadata: ["count": "\(dropped)"]) }
        try await files.threads.run { [files] in
            files.removeLeftovers(olderThan: MediaLimits.leftoverSeconds, now: now)
        }
    }
}
