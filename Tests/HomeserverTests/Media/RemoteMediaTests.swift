import HTTPMessages
import HTTPTypes
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@testable import Homeserver

@Suite("Other servers' media") struct RemoteMediaTests {
    private static func multipart(_ second: String, boundary: String = "XX") -> ClientResponse {
        let body = "--XX\r\nContent-Type: application/json\r\n\r\n{}\r\n--XX\r\n\(second)\r\n--XX--\r\n"
        return ClientResponse(
            status: 200, fields: [.contentType: "multipart/mixed; boundary=\"\(boundary)\""], body: Array(body.utf8))
    }

    private static func error(_ code: String, _ status: Int) -> ClientResponse {
        ClientResponse(status: status, body: Array("{\"errcode\":\"\(code)\",\"error\":\"from b\"}".utf8))
    }

    @Test func `a file is fetched once, signed, and kept`() async throws {
        let server = try await MediaServer.amongOthers { (_) throws(HTTPClientError) in
            Self.multipart(
                "Content-Type: image/gif\r\nContent-Disposition: inline; filename=\"b.gif\"\r\n\r\nGIF\r\nbytes")
        }
        try await withThrowingTaskGroup(of: MediaServer.Answer.self) { group in
            for _ in 0..<5 { group.addTask { try await server.download("b.test/file") } }
            for try await answer in group {
                #expect(answer.status == 200)
                #expect(answer.bytes == Array("GIF\r\nbytes".utf8))
                #expect(answer.fields[.contentType] == "image/gif")
                #expect(answer.fields[.contentDisposition] == "inline; filename=\"b.gif\"")
            }
        }
        #expect(try await server.download("b.test/file").status == 200)
        let asked = server.network.asked.withLock { $0 }
        #expect(asked.count == 1)
        #expect(asked.first?.pathAndQuery == "/_matrix/federation/v1/media/download/file?timeout_ms=20000")
        #expect(asked.first?.fields[.authorization]?.hasPrefix("X-Matrix") == true)
        #expect(asked.first?.host == "b.test")
    }

    @Test func `only a server that does not know the endpoint is asked without a signature`() async throws {
        let server = try await MediaServer.amongOthers { (request) throws(HTTPClientError) in
            if request.pathAndQuery.hasPrefix("/_matrix/media/v3/download/b.test/old?allow_remote=false") {
                return ClientResponse(status: 200, fields: [.contentType: "text/plain"], body: [65])
            }
            return Self.error(request.pathAndQuery.contains("/old") ? "M_UNRECOGNIZED" : "M_NOT_FOUND", 404)
        }
        let old = try await server.download("b.test/old")
        #expect(old.bytes == [65])
        #expect(server.network.asked.withLock { $0.last?.fields[.authorization] } == nil)
        let missing = try await server.download("b.test/missing")
        #expect(missing.status == 404)
        #expect(missing.errcode == "M_NOT_FOUND")
        #expect(server.network.asked.withLock { $0.count } == 3)
    }

    @Test func `a location is followed over TLS only, without a signature`() async throws {
        let server = try await MediaServer.amongOthers { (request) throws(HTTPClientError) in
            if request.host == "cdn.test" {
                return ClientResponse(status: 200, fields: [.contentType: "image/webp"], body: [1, 2])
            }
            let scheme = request.pathAndQuery.contains("plain") ? "http" : "https"
            return Self.multipart("Location: \(scheme)://cdn.test:444/x?y=1\r\n\r\n")
        }
        #expect(try await server.download("b.test/moved").bytes == [1, 2])
        let last = try #require(server.network.asked.withLock { $0.last })
        #expect(last.port == 444)
        #expect(last.pathAndQuery == "/x?y=1")
        #expect(last.fields[.authorization] == nil)
        #expect(!last.allowPrivateAddresses)
        #expect(try await server.download("b.test/plain").status == 502)
    }

    @Test func `other servers' errors become ours`() async throws {
        let server = try await MediaServer.amongOthers { (request) throws(HTTPClientError) in
            if request.pathAndQuery.contains("late") { return Self.error("M_NOT_YET_UPLOADED", 504) }
            if request.pathAndQuery.contains("large") { throw .responseTooLarge }
            if request.pathAndQuery.contains("dead") { throw .timedOut }
            return ClientResponse(status: 200, fields: [.contentType: "text/html"], body: [60])
        }
        let late = try await server.download("b.test/late")
        #expect((late.status, late.errcode) == (504, "M_NOT_YET_UPLOADED"))
        let large = try await server.download("b.test/large")
        #expect((large.status, large.errcode) == (502, "M_TOO_LARGE"))
        #expect(try await server.download("b.test/dead").status == 502)
        #expect(try await server.download("b.test/wrong").status == 502)
    }

    @Test(arguments: [
        "", "--XX", "--XX\r\n", "--XX\r\n\r\n{}\r\n--XX--\r\n", "--XX\r\n\r\n[]\r\n--XX\r\n\r\nfile\r\n--XX--",
        "--XX\r\n\r\n{}\r\n--XX\r\n\r\nfile\r\n--XX\r\n\r\nmore\r\n--XX--", "--XX\r\n\r\n{}\r\n--XX\r\n\r\nfile",
        "--XX\n\n{}\n--XX\n\nfile\n--XX--", "--XX\r\n\r\n{}\r\n--XX\r\nno colon\r\n\r\nfile\r\n--XX--",
        "--XX\r\n\r\n{}\r\n--XX\r\nContent-Type: a", "--XX\r\n\r\n{}\r\n--XXY\r\n\r\nfile\r\n--XX--",
    ]) func `what is not two parts is refused`(body: String) {
        #expect(throws: MultipartMixed.Malformed.self) {
            try MultipartMixed.read(Array(body.utf8), boundary: "XX")
        }
    }

    @Test(
        arguments: [
            ("multipart/mixed; boundary=abc", "abc"), ("Multipart/Mixed;BOUNDARY=\"a b\"", "a b"),
            ("multipart/form-data; boundary=abc", nil), ("multipart/mixed", nil), ("multipart/mixed; boundary=", nil),
            ("multipart/mixed; boundary=\"" + String(repeating: "a", count: 71) + "\"", nil),
            ("multipart/mixed; boundary=\"a\r\nb\"", nil),
        ] as [(String, String?)]) func `boundaries are read`(type: String, boundary: String?)
    {
        #expect(MultipartMixed.boundary(of: type) == boundary)
    }

    @Test func `our files are given as we read others'`() async throws {
        let server = try await MediaServer()
        let bytes = Array("line\r\n--almost".utf8) + (0..<600_000).map { UInt8(truncatingIfNeeded: $0) }
        let name = try await server.upload(bytes, type: "image/png", name: "ü.png")
        let path = "/_matrix/federation/v1/media/download/\(name.dropFirst("a.test/".count))"
        let answer = try await server.call(.get, path)
        let boundary = try #require(answer.fields[.contentType].flatMap { MultipartMixed.boundary(of: $0) })
        let content = try MultipartMixed.read(answer.bytes, boundary: boundary)
        #expect(
            content
                == .file(bytes[...], contentType: "image/png", disposition: "inline; filename*=utf-8''%C3%BC.png"))
        #expect(try await server.call(.get, "/_matrix/federation/v1/media/download/none").status == 404)
    }
}
