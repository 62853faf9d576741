import Foundation
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import Homeserver

@Suite("Uploads and downloads") struct UploadTests {
    @Test func `what was uploaded is given back with its type and name`() async throws {
        let server = try await MediaServer()
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let name = try await server.upload(bytes, type: "image/png", name: "cat.png")
        #expect(name.hasPrefix("a.test/"))
        let answer = try await server.download(name)
        #expect(answer.status == 200)
        #expect(answer.bytes == bytes)
        #expect(answer.fields[.contentType] == "image/png")
        #expect(answer.fields[.contentDisposition] == "inline; filename=\"cat.png\"")
        #expect(answer.fields[.contentSecurityPolicy]?.hasPrefix("sandbox; default-src 'none'") == true)
        #expect(answer.fields[.crossOriginResourcePolicy] == "cross-origin")
        #expect(answer.fields[.xContentTypeOptions] == "nosniff")
        let renamed = try await server.download(name, "/%E2%98%95.png")
        #expect(renamed.fields[.contentDisposition] == "inline; filename*=utf-8''%E2%98%95.png")
    }

    @Test func `what may run scripts is an attachment`() async throws {
        let server = try await MediaServer()
        for type in ["text/html", "image/svg+xml", "application/javascript", "text/html;image/png", nil] {
            let name = try await server.upload([1], type: type)
            let answer = try await server.download(name)
            #expect(answer.fields[.contentDisposition] == "attachment")
            #expect(answer.fields[.contentType] == type ?? "application/octet-stream")
        }
    }

    @Test func `equal bytes lie once, under their hash`() async throws {
        let server = try await MediaServer()
        _ = try await server.upload(Array("hello".utf8))
        _ = try await server.upload(Array("hello".utf8))
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        let path = "\(server.directory)/2c/f2/\(hash)"
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("hello".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: server.directory + "/incoming").isEmpty)
    }

    @Test(arguments: [true, false]) func `too large is refused and leaves nothing`(isAnnounced: Bool) async throws {
        let server = try await MediaServer { $0.media.maxUploadBytes = 1_000_000 }
        let left = Mutex(5)
        let body = HTTPBody(length: isAnnounced ? 1_500_000 : nil) { () throws(HTTPBodyError) in
            left.withLock {
                $0 -= 1; return $0 >= 0 ? Array(repeating: 7, count: 300_000) : nil
            }
        }
        let answer = try await server.call(.post, "/_matrix/media/v3/upload", body)
        #expect(answer.status == 413)
        #expect(answer.errcode == "M_TOO_LARGE")
        let kept = (try? FileManager.default.contentsOfDirectory(atPath: server.directory + "/incoming")) ?? []
        #expect(kept.isEmpty)
        let exact = try await server.call(
            .post, "/_matrix/media/v3/upload", HTTPBody(Array(repeating: 1, count: 1_000_000)))
        #expect(exact.status == 200)
    }

    @Test(arguments: ["..%2F..%2Fetc%2Fpasswd", "a.b", "%00", "a%20b", "%2E%2E"])
    func `a media id that could be a path names nothing`(mediaID: String) async throws {
        let server = try await MediaServer()
        for path in ["download/a.test/\(mediaID)", "thumbnail/b.test/\(mediaID)?width=1&height=1"] {
            let answer = try await server.call(.get, "/_matrix/client/v1/media/\(path)")
            #expect(answer.status == 404 || answer.status == 400)
        }
        #expect(server.network.asked.withLock { $0.isEmpty })
    }

    @Test func `an announced upload is waited for, taken once and only from who announced it`() async throws {
        let server = try await MediaServer()
        let created = try await server.call(.post, "/_matrix/media/v1/create")
        let uri = try #require(created.body?["content_uri"]?.string)
        #expect(created.body?["unused_expires_at"]?.integer == server.clock.now() + 24 * 3_600_000)
        let name = String(uri.dropFirst("mxc://".count))
        let early = try await server.download(name, "?timeout_ms=100")
        #expect(early.status == 504)
        #expect(early.errcode == "M_NOT_YET_UPLOADED")
        let path = "/_matrix/media/v3/upload/\(name)"
        let other = try await server.call(.put, path, as: "bob", HTTPBody([9]))
        #expect(other.errcode == "M_FORBIDDEN")
        #expect(try await server.call(.put, path, type: "text/plain", HTTPBody([1, 2])).status == 200)
        #expect(try await server.download(name).bytes == [1, 2])
        let again = try await server.call(.put, path, HTTPBody([3]))
        #expect(again.status == 409)
        #expect(again.errcode == "M_CANNOT_OVERWRITE_MEDIA")
        #expect(try await server.download(name).bytes == [1, 2])
        #expect(try await server.call(.put, "/_matrix/media/v3/upload/a.test/none", HTTPBody([3])).status == 404)
    }

    @Test func `announcements expire and are bounded`() async throws {
        let server = try await MediaServer()
        var name = ""
        for _ in 0..<50 {
            let created = try await server.call(.post, "/_matrix/media/v1/create")
            name = String((created.body?["content_uri"]?.string ?? "").dropFirst("mxc://".count))
        }
        #expect(try await server.call(.post, "/_matrix/media/v1/create").errcode == "M_LIMIT_EXCEEDED")
        #expect(try await server.call(.post, "/_matrix/media/v1/create", as: "bob").status == 200)
        server.clock.advance(milliseconds: 24 * 3_600_000 + 1)
        #expect(try await server.call(.put, "/_matrix/media/v3/upload/\(name)", HTTPBody([1])).status == 404)
        #expect(try await server.call(.post, "/_matrix/media/v1/create").status == 200)
        try await server.routes.sweep()
        let record = try await server.environment.database.read { [name] in
            try MediaStore($0).record(ServerName("a.test"), String(name.dropFirst("a.test/".count)))
        }
        #expect(record == nil)
    }

    @Test func `old endpoints are frozen unless the operator thaws them`() async throws {
        for isThawed in [false, true] {
            let server = try await MediaServer { $0.clients.legacyMedia = isThawed }
            let name = try await server.upload([1, 2, 3])
            let answer = try await server.call(.get, "/_matrix/media/v3/download/\(name)", as: nil)
            #expect(answer.status == (isThawed ? 200 : 404))
            let config = try await server.call(.get, "/_matrix/media/v3/config")
            #expect(config.body?["m.upload.size"]?.integer == 100 << 20)
            #expect(try await server.call(.get, "/_matrix/client/v1/media/config", as: nil).status == 401)
            #expect(try await server.call(.get, "/_matrix/client/v1/media/download/\(name)", as: nil).status == 401)
        }
    }

    @Test(
        arguments: [
            ("bytes=2-4", 206, [2, 3, 4]), ("bytes=7-", 206, [7, 8, 9]), ("bytes=-2", 206, [8, 9]),
            ("bytes=8-99", 206, [8, 9]), ("bytes=10-", 416, []), ("bytes=4-2", 200, Array(0..<10)),
            ("bytes=0-1,3-4", 200, Array(0..<10)), ("bytes=99999999999999999999-", 200, Array(0..<10)),
            ("lines=1-2", 200, Array(0..<10)),
        ] as [(String, Int, [UInt8])])
    func `ranges are given`(range: String, status: Int, expected: [UInt8]) async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Array(0..<10))
        let answer = try await server.download(name, range: range)
        #expect(answer.status == status)
        #expect(answer.bytes == expected)
    }

    @Test func `an empty file is a file`() async throws {
        let server = try await MediaServer()
        let answer = try await server.download(try await server.upload([]))
        #expect(answer.status == 200)
        #expect(answer.bytes.isEmpty)
    }

    @Test(
        arguments: [
            ("attachment; filename=\"a\\\"b;c.txt\"", "a\"b;c.txt"), ("inline; filename=plain.txt", "plain.txt"),
            ("inline; filename=\"x\"; filename*=UTF-8''%E2%98%95", "☕"), ("inline", nil),
            ("inline; filename=\"\"", nil),
            ("inline; filename*=UTF-8''%FF", nil), ("\";;;=\\", nil), ("inline; filename=\"a\u{1}b\"", "ab"),
        ] as [(String, String?)])
    func `other servers' file names are read`(header: String, name: String?) {
        #expect(ContentDisposition.fileName(in: header) == name)
    }
}
