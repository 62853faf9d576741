import Confinement
import Foundation
import HTTPTypes
import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Thumbnails") struct ThumbnailTests {
    static let hasProgram = ProgramRun.find("vipsthumbnail") != nil

    /// A grey PNG, uncompressed.
    static func png(_ width: Int, _ height: Int) -> [UInt8] {
        func number(_ value: Int, _ count: Int = 4) -> [UInt8] {
            (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        }
        func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
            let body = Array(name.utf8) + content
            var crc: UInt32 = 0xFFFF_FFFF
            for byte in body {
                crc ^= UInt32(byte)
                for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
            }
            return number(content.count) + body + number(Int(~crc))
        }
        let raw = [UInt8](repeating: 0, count: (width + 1) * height)
        var zlib: [UInt8] = [0x78, 0x01]
        var offset = 0
        while offset < raw.count {
            let count = min(65_535, raw.count - offset)
            let isLast: UInt8 = offset + count == raw.count ? 1 : 0
            let length = number(count, 2)
            zlib += [isLast, length[1], length[0], ~length[1], ~length[0]] + raw[offset..<offset + count]
            offset += count
        }
        // Adler-32 of zeros.
        zlib += number((raw.count % 65_521) << 16 | 1)
        return [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
            + chunk("IHDR", number(width) + number(height) + [8, 0, 0, 0, 0]) + chunk("IDAT", zlib)
            + chunk("IEND", [])
    }

    @Test(
        .enabled(if: hasProgram, "vipsthumbnail is not installed"),
        arguments: [
            (400, 200, "width=32&height=32&method=crop", 32, 32), (400, 200, "width=60&height=40&method=crop", 96, 64),
            (400, 200, "width=40&height=40", 192, 96),
            (400, 200, "width=40&height=40&method=scale&animated=false", 192, 96),
            (50, 20, "width=96&height=96", 50, 20), (50, 20, "width=96&height=96&method=crop", 20, 20),
            (1000, 900, "width=300&height=200&method=scale", 320, 288),
            (100, 100, "width=60000&height=1&method=scale", 100, 100),
        ])
    func `an image is made as small as asked, not smaller, never larger`(
        width: Int, height: Int, query: String, thumbWidth: Int, thumbHeight: Int
    ) async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Self.png(width, height), type: "text/html")
        let path = "/_matrix/client/v1/media/thumbnail/\(name)?\(query)"
        let answer = try await server.call(.get, path)
        #expect(answer.status == 200)
        #expect(answer.fields[.contentType] == "image/png")
        #expect(answer.fields[.contentDisposition] == "inline; filename=\"thumbnail.png\"")
        let header = try #require(ImageHeader(answer.bytes))
        #expect((header.width, header.height) == (thumbWidth, thumbHeight))
        #expect(try await server.call(.get, path).bytes == answer.bytes)
    }

    @Test(.enabled(if: hasProgram, "vipsthumbnail is not installed"))
    func `another server gets a thumbnail as the second of two parts`() async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Self.png(400, 200), type: "image/png")
        let path = "/_matrix/federation/v1/media/thumbnail/\(name.dropFirst("a.test/".count))"
        let answer = try await server.call(.get, path + "?width=40&height=40")
        #expect(answer.status == 200)
        let boundary = try #require(answer.fields[.contentType].flatMap { MultipartMixed.boundary(of: $0) })
        guard
            case .file(let bytes, let type, let disposition) = try MultipartMixed.read(
                answer.bytes, boundary: boundary)
        else { throw ContentURI.notFound }
        #expect(type == "image/png" && disposition == "inline; filename=\"thumbnail.png\"")
        let header = try #require(ImageHeader(Array(bytes)))
        #expect((header.width, header.height) == (192, 96))
        #expect(try await server.call(.get, path).status == 400)
    }

    @Test func `what is no image has no thumbnail`() async throws {
        let server = try await MediaServer()
        for content in ["<svg/>", "", "\u{89}PNG", "GIF89a"] {
            let name = try await server.upload(Array(content.utf8), type: "image/png")
            let answer = try await server.call(.get, "/_matrix/client/v1/media/thumbnail/\(name)?width=32&height=32")
            #expect((answer.status, answer.errcode) == (400, "M_UNKNOWN"))
        }
        // A header of a size, and nothing of an image: the program itself finds out.
        let broken = try await server.upload(
            Array("GIF89a".utf8) + [100, 0, 100, 0, 0, 0, 0] + Array("nothing of an image".utf8))
        let answer = try await server.call(.get, "/_matrix/client/v1/media/thumbnail/\(broken)?width=32&height=32")
        #expect((answer.status, answer.errcode) == (400, "M_UNKNOWN"))
    }

    @Test func `too many pixels are not decoded`() async throws {
        let server = try await MediaServer()
        var bomb = Self.png(1, 1)
        bomb.replaceSubrange(16..<24, with: [0, 0, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF])
        let name = try await server.upload(bomb)
        let answer = try await server.call(.get, "/_matrix/client/v1/media/thumbnail/\(name)?width=32&height=32")
        #expect((answer.status, answer.errcode) == (413, "M_TOO_LARGE"))
    }

    @Test(arguments: [
        "width=32", "width=0&height=1", "width=-1&height=5", "width=a&height=5",
        "width=99999999999999999999&height=1", "width=1&height=1&method=stretch",
    ])
    func `nonsense is refused`(query: String) async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Self.png(1, 1))
        let answer = try await server.call(.get, "/_matrix/client/v1/media/thumbnail/\(name)?\(query)")
        #expect(answer.status == 400)
    }

    @Test func `sizes of the four formats are read from their headers`() throws {
        #expect(ImageHeader(Self.png(7, 9)).map { [$0.width, $0.height] } == [7, 9])
        #expect(ImageHeader(Array("GIF89a".utf8) + [1, 1, 2, 0]).map { [$0.width, $0.height] } == [257, 2])
        let jpeg: [UInt8] =
            [0xFF, 0xD8, 0xFF, 0xE1, 0, 10] + Array("Exif\0\0aa".utf8)
            + [0xFF, 0xC2, 0, 17, 8, 1, 0, 2, 0, 3]
        let read = try #require(ImageHeader(jpeg))
        #expect((read.format, read.width, read.height, read.mayBeTurned) == (.jpeg, 512, 256, true))
        let webP = Array("RIFF____WEBPVP8X____".utf8) + [0, 0, 0, 0, 9, 0, 0, 4, 0, 0]
        #expect(ImageHeader(webP).map { [$0.width, $0.height] } == [10, 5])
        // Every beginning of a header is read without harm.
        for bytes in [jpeg, webP, Self.png(3, 3)] {
            for count in 0..<bytes.count { _ = ImageHeader(Array(bytes.prefix(count))) }
        }
    }

    @Test func `a turned image is never too small`() throws {
        let jpeg: [UInt8] =
            [0xFF, 0xD8, 0xFF, 0xE1, 0, 8] + Array("Exif\0\0".utf8)
            + [0xFF, 0xC0, 0, 17, 8, 0x0B, 0xB8, 0x0F, 0xA0, 3]
        let image = try #require(ImageHeader(jpeg))
        #expect((image.width, image.height) == (4000, 3000))
        let box = ThumbnailSize(width: 320, height: 240, method: .scale).box(for: image)
        // Within a square, 4000 by 3000 and 3000 by 4000 both come out at least 320 wide and 240 high.
        #expect(box == ThumbnailSize(width: 427, height: 427, method: .scale))
    }

    @Test(.enabled(if: hasProgram, "vipsthumbnail is not installed"), arguments: ["scale", "crop"])
    func `a moving image moves as a thumbnail too, where that is wanted`(method: String) async throws {
        let server = try await MediaServer()
        // Three frames of one color each, 64 by 48.
        let text = """
            R0lGODlhQAAwAIEAAP8AAAAAAAAAAAAAACH/C05FVFNDQVBFMi4wAwEAAAAh+QQACgAAACwAAAAAQAAwAAAIWgABCBxIsKDBgwgT\
            KlzIsKHDhxAjSpxIsaLFixgzatzIsaPHjyBDihxJsqTJkyhTqlzJsqXLlzBjypxJs6bNmzhz6tzJs6fPn0CDCh1KtKjRo0iTKl3K\
            tGnRgAAh+QQBCgABACwAAAAAQAAwAIEA/wAAAAAAAAAAAAAIWgABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFixgzatzIsaPHjyBD\
            ihxJsqTJkyhTqlzJsqXLlzBjypxJs6bNmzhz6tzJs6fPn0CDCh1KtKjRo0iTKl3KtGnRgAAh+QQBCgABACwAAAAAQAAwAIEAAP8A\
            AAAAAAAAAAAIWgABCBxIsKDBgwgTKlzIsKHDhxAjSpxIsaLFixgzatzIsaPHjyBDihxJsqTJkyhTqlzJsqXLlzBjypxJs6bNmzhz\
            6tzJs6fPn0CDCh1KtKjRo0iTKl3KtGnRgAA7
            """
        let image = try Array(#require(Data(base64Encoded: text)))
        #expect(FrameCount.of(image, .gif) == 3)
        let name = try await server.upload(image, type: "image/gif")
        let path = "/_matrix/client/v1/media/thumbnail/\(name)?width=32&height=20&method=\(method)"
        let moving = try await server.call(.get, path + "&animated=true")
        #expect(moving.status == 200)
        #expect(moving.fields[.contentType] == "image/webp")
        #expect(FrameCount.of(moving.bytes, .webp) == 3)
        let header = try #require(ImageHeader(moving.bytes))
        #expect(header.width >= 32 && header.height >= 20 && header.width < 64)
        for still in ["", "&animated=false"] {
            #expect(try await server.call(.get, path + still).fields[.contentType] == "image/png")
        }
        let one = try await server.upload(ThumbnailTests.png(64, 48))
        let answer = try await server.call(
            .get, "/_matrix/client/v1/media/thumbnail/\(one)?width=32&height=20&animated=true")
        #expect(answer.fields[.contentType] == "image/png")
    }

    @Test func `frames are counted of whatever comes`() {
        let gif = Array("GIF89a".utf8) + [1, 0, 1, 0, 0, 0, 0, 0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 0, 0, 0x3B]
        #expect(FrameCount.of(gif, .gif) == 1)
        let webP = Array("RIFF____WEBPANMF".utf8) + [1, 0, 0, 0, 9, 9] + Array("ANMF".utf8) + [0, 0, 0, 0]
        #expect(FrameCount.of(webP, .webp) == 2)
        for count in 0..<gif.count { _ = FrameCount.of(Array(gif.prefix(count)), .gif) }
        for count in 0..<webP.count { _ = FrameCount.of(Array(webP.prefix(count)), .webp) }
        #expect(FrameCount.of(gif + Array(repeating: gif.dropFirst(13), count: 600).joined(), .gif) == 1)
        let many = Array(gif.prefix(13)) + Array(repeating: gif[13..<27], count: 600).joined()
        #expect(FrameCount.of(many, .gif) == nil)
    }

    // MARK: Confined programs

    private func run(_ script: String, seconds: Int = 10, timeout: Duration = .seconds(10)) throws -> ProgramRun {
        let null = open("/dev/null", O_RDWR)
        defer { close(null) }
        return try ProgramRun(
            "/bin/sh", ["-c", script], environment: ["PATH=/usr/bin:/bin"], input: null, output: null,
            within: Confines(seconds: seconds, memory: 1 << 30, output: 1 << 20), timeout: timeout)
    }

    @Test func `a program is ended when its time is over`() throws {
        // Long enough to begin on a machine that does much else.
        let slow = try run("echo waiting >&2; while :; do :; done", timeout: .seconds(3))
        #expect(slow.end == .timedOut)
        #expect(slow.errorText == "waiting\n")
        #expect(try run("exec 2>&-; while :; do :; done", timeout: .milliseconds(300)).end == .timedOut)
        // By the processor's time, long before the clock's.
        let busy = try run("while :; do :; done", seconds: 1, timeout: .seconds(60)).end
        #expect(busy == .killed(signal: SIGXCPU) || busy == .killed(signal: SIGKILL))
        #expect(try run("exit 3").end == .exited(3))
        let null = open("/dev/null", O_RDWR)
        defer { close(null) }
        let missing = try ProgramRun(
            "/nonexistent/program", [], environment: [], input: null, output: null,
            within: Confines(seconds: 1, memory: 1 << 30, output: 0), timeout: .seconds(5))
        #expect(missing.end == .exited(127))
    }

    @Test(.enabled(if: Confines.means.files, "this kernel has no Landlock"))
    func `a confined program sees no file of ours and writes none`() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/fedchat-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("secret".utf8).write(to: URL(fileURLWithPath: folder + "/key"))
        for path in ["\(folder)/key", "/etc/passwd", "/proc/self/environ", "/proc/1/cmdline"] {
            #expect(try run("read line < \(path)").end != .exited(0), "\(path)")
        }
        #expect(try run("echo x > \(folder)/new").end != .exited(0))
        #expect(try run("read line < /usr/bin/env; true").end == .exited(0))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["key"])
    }

    @Test(
        .enabled(
            if: Confines.means.systemCalls && FileManager.default.fileExists(atPath: "/usr/bin/python3"),
            "no seccomp, or no Python to try it with"),
        arguments: [
            "import socket; socket.socket()", "import socket; socket.socketpair()", "import os; os.fork()",
            "import os; os.kill(1, 0)", "import os; os.chmod('/usr/bin/env', 0)", "import os; os.unlink('/tmp/x')",
        ])
    func `a confined program reaches no network and no other process`(script: String) throws {
        #expect(try run("exec /usr/bin/python3 -I -S -c \"pass\"").end == .exited(0))
        let refused = try run("exec /usr/bin/python3 -I -S -c \"\(script)\"")
        #expect(refused.end == .exited(1))
        #expect(refused.errorText.contains("PermissionError"))
    }

    @Test func `a confined program gets no more memory and writes no more than it may`() throws {
        let file = FileManager.default.temporaryDirectory.path + "/fedchat-" + UUID().uuidString
        let output = open(file, O_CREAT | O_WRONLY, 0o600)
        let zeros = open("/dev/zero", O_RDONLY)
        defer {
            close(output)
            close(zeros)
            try? FileManager.default.removeItem(atPath: file)
        }
        let written = try ProgramRun(
            "/bin/cat", [], environment: [], input: zeros, output: output,
            within: Confines(seconds: 5, memory: 1 << 30, output: 100_000), timeout: .seconds(10))
        #expect(written.end == .killed(signal: SIGXFSZ))
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)).count == 100_000)
        let remembered = try ProgramRun(
            "/usr/bin/tail", ["-c", "2000000000"], environment: [], input: zeros, output: output,
            within: Confines(seconds: 5, memory: 256 << 20, output: 1 << 30), timeout: .seconds(10))
        #expect(remembered.end != .exited(0))
    }
}
