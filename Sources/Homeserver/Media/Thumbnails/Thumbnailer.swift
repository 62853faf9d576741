internal import Confinement
private import Glibc
internal import HTTPMessages
internal import Logging
internal import MatrixAPI

/// Makes small images with the program `vipsthumbnail`, confined to a process that has nothing but the image and a place for
/// the thumbnail: decoders of images have many holes. See `spec/decisions/0019-thumbnails-in-a-sandbox.md`.
struct Thumbnailer: Sendable {
    /// A thumbnail that can be sent.
    struct Made: Sendable {
        let file: StoredFile
        /// Names these bytes and no others.
        let tag: String
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
        let means = Confines.means
        if !means.files || !means.systemCalls {
            logger.warning(
                "this kernel does not confine thumbnails wholly",
                metadata: ["landlock": "\(means.files)", "seccomp": "\(means.systemCalls)"])
        }
    }

    static let impossible = MatrixError(.unknown, "Cannot generate thumbnails for the requested content")
    private static let tooLarge = MatrixError(.tooLarge, "Content is too large to thumbnail")

    /// What a thumbnail is made as.
    private struct Plan: Sendable {
        var image: ImageHeader
        var box: ThumbnailSize
        var moves: Bool

        var ending: String { moves ? ".webp" : image.format.thumbnailEnding }
        var contentType: String { moves ? "image/webp" : image.format.thumbnailType }
        var options: String { moves ? "[Q=75,strip]" : image.format == .jpeg ? "[Q=80,strip]" : "[strip]" }
        var name: String { "\(box.method.rawValue)-\(box.width)x\(box.height)" }
    }

    /// The thumbnail of a file, made now if it was not before; `nil` when its bytes are gone. Throws `M_UNKNOWN` for what is
    /// no image, `M_TOO_LARGE` for too many bytes or pixels.
    func thumbnail(of found: MediaReader.Found, _ wanted: ThumbnailSize, isAnimated: Bool) async throws -> Made? {
        let hash = found.hash
        guard let place = MediaFiles.place(of: hash) else { return nil }
        guard found.file.length <= MediaLimits.thumbnailSource else { throw Self.tooLarge }
        guard let image = ImageHeader(try await found.file.beginning(MediaLimits.imageHeader)) else {
            throw Self.impossible
        }
        guard image.width <= MediaLimits.imagePixels, image.height <= MediaLimits.imagePixels,
            image.width * image.height <= MediaLimits.imagePixels
        else { throw Self.tooLarge }
        var plan = Plan(image: image, box: wanted.box(for: image), moves: false)
        if isAnimated, try await moves(found.file, image) {
            plan.moves = true
            // Cut to a box, a moving image would stand still: it is given whole, and covers the box.
            plan.box = ThumbnailSize(width: wanted.width, height: wanted.height, method: .scale).box(for: image)
        }
        let folder = "\(root)/\(place.folder)"
        let target = "\(folder)/\(hash)-\(plan.name)\(plan.ending)"
        let file = try await flights.run(target) { [plan] in
            if let made = try await files.threads.run({ try OpenedFile(target) }) { return made }
            guard let program else {
                logger.error("no thumbnail: vipsthumbnail is not installed")
                throw Self.impossible
            }
            guard let source = try await files.store.localFile(hash, maximum: MediaLimits.thumbnailSource) else {
                throw ContentURI.notFound
            }
            let output = try await files.begin(ending: plan.ending)
            return try await workers.run {
                try make(program, source, plan, output)
                try MediaFiles.makeFolders([root, "\(root)/\(place.first)", folder])
                try output.keep(as: target, in: folder)
                guard let made = try OpenedFile(target) else { throw Self.impossible }
                return made
            }
        }
        return Made(
            file: file.stored(on: files.threads), tag: "\(hash.prefix(32))-\(plan.name)\(plan.ending)",
            contentType: plan.contentType, fileName: "thumbnail\(plan.ending)")
    }

    private var root: String { Self.root(in: files.directory) }

    /// Where thumbnails lie, like files by the hash of what they are made of.
    static func root(in directory: String) -> String { directory + "/thumbnails" }

    /// Whether an image has several frames, and not too many to be decoded.
    private func moves(_ file: StoredFile, _ image: ImageHeader) async throws -> Bool {
        guard image.format == .gif || image.format == .webp, file.length <= MediaLimits.animationBytes else {
            return false
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(file.length))
        for try await piece in file.body(0..<file.length).chunks { bytes += piece }
        guard let frames = FrameCount.of(bytes, image.format), frames > 1 else { return false }
        return image.width * image.height <= MediaLimits.imagePixels / frames
    }

    /// Runs the program: the image comes by its standard input, the thumbnail by its output.
    private func make(
        _ program: String, _ source: OpenedFile, _ plan: Plan, _ output: IncomingFile
    ) throws {
        // `>` never makes an image larger.
        var arguments = [
            plan.moves ? "stdin[n=-1]" : "stdin", "--size", "\(plan.box.width)x\(plan.box.height)>",
            "--export-profile", "srgb", "-o", plan.ending + plan.options,
        ]
        if plan.box.method == .crop { arguments += ["--smartcrop", "centre"] }
        let run: ProgramRun
        do {
            run = try source.reading { input in
                try ProgramRun(
                    program, arguments,
                    environment: ["PATH=/usr/bin:/bin", "LANG=C", "VIPS_CONCURRENCY=1", "VIPS_BLOCK_UNTRUSTED=1"],
                    input: input, output: output.descriptor,
                    within: Confines(
                        seconds: max(1, Int(timeout.components.seconds)), memory: MediaLimits.thumbnailMemory,
                        output: MediaLimits.thumbnailOutput),
                    timeout: timeout)
            }
        } catch let failure as SpawnFailure {
            logger.error("no thumbnail", metadata: ["cause": "\(failure)"])
            throw Self.impossible
        }
        guard run.end == .exited(0) else {
            logger.warning("no thumbnail", metadata: ["end": "\(run.end)", "cause": "\(run.errorText)"])
            throw Self.impossible
        }
        _ = try output.finish()
    }
}
