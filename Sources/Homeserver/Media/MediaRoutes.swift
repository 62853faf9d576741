public import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI

/// All handlers of media, and what they share.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#content-repository>
public struct MediaRoutes: RouteGroup {
    private let cleaning: MediaCleaning
    private let groups: [any RouteGroup]

    /// Starts the threads that read and write files. The folder need not be there; the one above it must.
    public init(environment: Environment, federation: FederationClient, limiter: RateLimiter) {
        let configuration = environment.configuration
        let directory = configuration.media.directory
        let files = MediaFiles(
            directory: directory, random: environment.random, environment.blockingWork,
            elsewhere: configuration.media.s3.flatMap {
                S3Client($0, httpClient: environment.httpClient, clock: environment.clock)
            }.map { client in
                { S3MediaStore(client: client, spool: directory, threads: $0, logger: environment.logger) }
            })
        let reader = MediaReader(
            environment: environment, files: files,
            remote: RemoteMedia(environment: environment, federation: federation, files: files))
        let thumbnailer = Thumbnailer(
            files: files, timeout: .milliseconds(configuration.timeouts.thumbnail), logger: environment.logger)
        cleaning = MediaCleaning(environment: environment, files: files)
        var groups: [any RouteGroup] = [
            Uploading(environment: environment, files: files),
            Downloading(environment: environment, reader: reader, thumbnailer: thumbnailer),
            MediaFederating(environment: environment, reader: reader, thumbnailer: thumbnailer),
            MediaAdministrating(administration: MediaAdministration(environment: environment)),
        ]
        if configuration.urlPreviews.isEnabled {
            groups.append(LinkPreviewing(environment: environment, files: files, limiter: limiter))
        }
        self.groups = groups
    }

    public func register(on router: inout Router) {
        for group in groups { group.register(on: &router) }
    }

    /// Takes out what has no more use. To be called now and then.
    public func sweep() async throws { try await cleaning.clean() }
}
