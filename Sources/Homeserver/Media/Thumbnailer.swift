private import Glibc
internal import Logging
internal import MatrixAPI

/// Makes small images with the program `vipsthumbnail`: in a process of its own, for decoders of images have many holes.
struct Thumbnailer: Sendable {
    /// A thumbnail that can be sent.
    struct Made: Sendable {
        let file: OpenedFile
        let contentType: String
        let fileName: String
    }

    private let files: MediaFiles
    private let program: String?
    private let timeout: Duration
    private let logger: Logger
    private let workers: WorkerThreads
    private let flights = SingleFlight<String, OpenedFile>()

    /// - Parameter program: the path of `vipsthumbnail`; `nil` where it is not installed.
    init(files: MediaFiles, program: String? = ProgramRun.find("vipsthumbnail"), timeout: Duration, logger: Logger) {
        self.files = files
        self.program = program
        self.timeout = timeout
        self.logger = logger
        workers = WorkerThreads(
            name: "thumbnail", count: MediaLimits.thumbnailThreads, maximumWaiting: MediaLimits.thumbnailsWaiting,
            files.blockingWork)
        if program == nil { logger.warning("vipsthumbnail is not installed: there are no thumbnails") }
    }

    static let impossible = MatrixError(.unknown, "Cannot generate thumbnails for the requested content")

    /// The thumbnail of what lies under a hash, made now if it was not before; `nil` when nothing lies there. Throws
    /// `M_UNKNOWN` for what is no image, `M_TOO_LARGE` for too many pixels.
    func thumbnail(of hash: String, _ wanted: ThumbnailSize) async throws -> Made? {
        guard let original = try await files.open(hash), let source = files.path(of: hash),
            let place = MediaFiles.place(of: hash)
        else { return nil }
        let start = try await files.threads.run { try original.read(at: 0, count: MediaLimits.imageHeader) }
        guard let image = ImageHeader(start) else { throw Self.impossible }
        guard image.width.multipliedReportingOverflow(by: image.height).partialValue <= MediaLimits.imagePixels,
            image.width <= MediaLimits.imagePixels, image.height <= MediaLimits.imagePixels
        else { throw MatrixError(.tooLarge, "Content is too large to thumbnail") }
        let box = wanted.box(for: image)
        let ending = image.format.thumbnailEnding
        let root = files.directory + "/thumbnails"
        let folder = "\(root)/\(place.folder)"
        let target = "\(folder)/\(hash)-\(box.method.rawValue)-\(box.width)x\(box.height)\(ending)"
        let file = try await flights.run(target) {
            if let made = try await files.threads.run({ try OpenedFile(target) }) { return made }
            guard let program else {
                logger.error("no thumbnail: vipsthumbnail is not installed")
                throw Self.impossible
            }
            let output = files.temporaryPath(ending)
            return try await workers.run {
                defer { unlink(output) }
                try make(program, source, box, output)
                try MediaFiles.makeFolders([root, "\(root)/\(place.first)", folder])
                guard rename(output, target) == 0, let made = try OpenedFile(target) else { throw Self.impossible }
                return made
            }
        }
        return Made(file: file, contentType: image.format.thumbnailType, fileName: "thumbnail\(ending)")
    }

    /// Runs the program, under a shell that limits what it may take.
    private func make(_ program: String, _ source: String, _ box: ThumbnailSize, _ output: String) throws {
        let seconds = max(1, Int(timeout.components.seconds))
        let isJPEG = output.hasSuffix(".jpg")
        var arguments = [
            "-c", "ulimit -c 0; ulimit -t \"$1\"; ulimit -v \"$2\"; ulimit -f \"$3\"; shift 3; exec \"$@\"", "sh",
            String(seconds), String(MediaLimits.thumbnailMemoryKiB), String(MediaLimits.thumbnailOutputBlocks),
            program, source, "--size", "\(box.width)x\(box.height)>", "--export-profile", "srgb",
            "-o", output + (isJPEG ? "[Q=80,strip]" : "[strip]"),
        ]
        if box.method == .crop { arguments += ["--smartcrop", "centre"] }
        let run = try ProgramRun(
            "/bin/sh", arguments,
            environment: ["PATH=/usr/bin:/bin", "LANG=C", "VIPS_CONCURRENCY=1", "VIPS_BLOCK_UNTRUSTED=1"],
            timeout: timeout)
        guard run.end == .exited(0) else {
            logger.warning("no thumbnail", metadata: ["end": "\(run.end)", "cause": "\(run.errorText)"])
            throw Self.impossible
        }
        let descriptor = open(output, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.impossible }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFailure("fsync") }
    }
}
