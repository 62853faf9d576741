import HTTPMessages
import Synchronization
import Testing

@testable import Homeserver

@Suite("Multipart answers as they come") struct MultipartFileTests {
    /// A body in pieces of a size.
    private func body(_ bytes: [UInt8], step: Int) -> HTTPBody {
        let position = Mutex(0)
        return HTTPBody(length: nil) { () throws(HTTPBodyError) in
            position.withLock { position in
                guard position < bytes.count else { return nil }
                defer { position += step }
                return Array(bytes[position..<min(position + step, bytes.count)])
            }
        }
    }

    private func message(_ file: [UInt8]) -> [UInt8] {
        Array("--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\nContent-Type: image/png\r\n\r\n".utf8)
            + file + Array("\r\n--XX--\r\n".utf8)
    }

    @Test(arguments: [1, 2, 3, 7, 64, 1_000, 100_000])
    func `the file is the same in whatever pieces it comes`(step: Int) async throws {
        for file in [
            [], Array("GIF".utf8), Array("\r\n--X\r\n--XY".utf8), Array("\r\n--".utf8),
            (0..<5_000).map { UInt8(truncatingIfNeeded: $0 &* 7) },
        ] {
            let read = try await MultipartFile(body(message(file), step: step), boundary: "XX")
            #expect(await read.fields["content-type"] == "image/png")
            // `--XY` begins like a delimiter, and is one: a boundary must not stand in its file.
            if file.count == 11 {
                await #expect(throws: HTTPBodyError.disconnected) { try await read.body.collect(upTo: 1 << 20) }
                continue
            }
            #expect(try await read.body.collect(upTo: 1 << 20) == file)
        }
    }

    @Test(arguments: [
        "", "--XX", "--XX\r\n\r\n{}\r\n--XX--\r\n", "--XX\r\n\r\n[]\r\n--XX\r\n\r\nfile\r\n--XX--",
        "--XX\r\n\r\n{}\r\n--XX\r\nno colon\r\n\r\nfile\r\n--XX--",
    ]) func `what has no beginning is refused`(text: String) async {
        for step in [1, 1_000] {
            await #expect(throws: (any Error).self) {
                try await MultipartFile(body(Array(text.utf8), step: step), boundary: "XX")
            }
        }
    }

    @Test(arguments: [
        "--XX\r\n\r\n{}\r\n--XX\r\n\r\nfile", "--XX\r\n\r\n{}\r\n--XX\r\n\r\nfile\r\n--XX",
        "--XX\r\n\r\n{}\r\n--XX\r\n\r\nfile\r\n--XX\r\n\r\nmore\r\n--XX--",
    ]) func `what has no end is no file`(text: String) async throws {
        for step in [1, 1_000] {
            let read = try await MultipartFile(body(Array(text.utf8), step: step), boundary: "XX")
            await #expect(throws: HTTPBodyError.disconnected) { try await read.body.collect(upTo: 1 << 20) }
        }
    }

    @Test func `a beginning that never ends is given up`() async {
        let endless = HTTPBody(length: nil) { () throws(HTTPBodyError) in Array(repeating: 0x41, count: 1_000) }
        await #expect(throws: MultipartMixed.Malformed.self) { try await MultipartFile(endless, boundary: "XX") }
    }
}
