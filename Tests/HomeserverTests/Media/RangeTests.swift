import HTTPTypes
import MatrixAPI
import MatrixModel
import Testing

@testable import Homeserver

@Suite("Parts of media, and what a client has already") struct RangeTests {
    @Test func `a part is given only of the bytes that the client has begun with`() async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Array(0..<10))
        let tag = try #require(try await server.download(name).fields[.eTag])
        #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.utf8.count > 32)
        let part = try await server.download(name, range: "bytes=4-", fields: [.ifRange: tag])
        #expect((part.status, part.bytes) == (206, [4, 5, 6, 7, 8, 9]))
        #expect(part.fields[.contentRange] == "bytes 4-9/10")
        #expect(part.fields[.eTag] == tag)
        for other in ["\"other\"", "W/\(tag)", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            let whole = try await server.download(name, range: "bytes=4-", fields: [.ifRange: other])
            #expect((whole.status, whole.bytes.count) == (200, 10))
        }
        let outside = try await server.download(name, range: "bytes=10-")
        #expect((outside.status, outside.fields[.contentRange]) == (416, "bytes */10"))
    }

    @Test func `a client that has the file gets nothing`() async throws {
        let server = try await MediaServer()
        let name = try await server.upload(Array(0..<10))
        let tag = try #require(try await server.download(name).fields[.eTag])
        for known in [tag, "\"x\", \(tag)", "*", "W/\(tag)"] {
            let answer = try await server.download(name, fields: [.ifNoneMatch: known])
            #expect((answer.status, answer.bytes) == (304, []))
            #expect(answer.fields[.eTag] == tag)
        }
        #expect(try await server.download(name, fields: [.ifNoneMatch: "\"x\""]).status == 200)
    }

    @Test func `whatever is given keeps browsers from running it`() async throws {
        let server = try await MediaServer { $0.clients.legacyMedia = true }
        let name = try await server.upload(Array("<script>alert(1)</script>".utf8), type: "text/html", name: "a.html")
        for path in [
            "/_matrix/client/v1/media/download/\(name)", "/_matrix/client/v1/media/download/\(name)/b.html",
            "/_matrix/media/v3/download/\(name)", "/_matrix/media/v3/download/\(name)/b.html",
        ] {
            for range in [nil, "bytes=0-3"] {
                let fields = try await server.call(.get, path, range: range).fields
                #expect(fields[.contentDisposition]?.hasPrefix("attachment") == true)
                #expect(fields[.contentSecurityPolicy]?.hasPrefix("sandbox; default-src 'none'") == true)
                #expect(fields[.crossOriginResourcePolicy] == "cross-origin")
                #expect(fields[.xContentTypeOptions] == "nosniff")
            }
        }
    }

    @Test(arguments: [false, true])
    func `the old endpoints give names, where they are open`(isOpen: Bool) async throws {
        let server = try await MediaServer { $0.clients.legacyMedia = isOpen }
        let name = try await server.upload(ThumbnailTests.png(80, 60), name: "a.png")
        let named = try await server.call(.get, "/_matrix/media/v3/download/\(name)/%E2%98%95.png", as: nil)
        #expect(named.status == (isOpen ? 200 : 404))
        if isOpen {
            #expect(named.fields[.contentDisposition] == "inline; filename*=utf-8''%E2%98%95.png")
        } else {
            #expect(named.errcode == "M_NOT_FOUND")
        }
    }

    @Test(.enabled(if: ThumbnailTests.hasProgram, "vipsthumbnail is not installed"), arguments: [false, true])
    func `the old endpoints give thumbnails, where they are open`(isOpen: Bool) async throws {
        let server = try await MediaServer { $0.clients.legacyMedia = isOpen }
        let name = try await server.upload(ThumbnailTests.png(80, 60), name: "a.png")
        let small = try await server.call(
            .get, "/_matrix/media/v3/thumbnail/\(name)?width=32&height=24&method=crop&allow_redirect=true", as: nil)
        #expect(small.status == (isOpen ? 200 : 404))
        if isOpen {
            let header = try #require(ImageHeader(small.bytes))
            #expect(header.width >= 32 && header.height >= 24)
        }
    }

    @Test func `parameters that mean nothing are refused`() async throws {
        let server = try await MediaServer()
        let name = try await server.upload([1])
        #expect(try await server.download(name, "?allow_redirect=maybe").errcode == "M_INVALID_PARAM")
        #expect(try await server.download(name, "?timeout_ms=soon").errcode == "M_INVALID_PARAM")
        #expect(try await server.download(name, "?allow_redirect=true&timeout_ms=1&allow_remote=false").status == 200)
    }
}
