import Cryptography
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import Homeserver

@Suite("Previews of links") struct PreviewTests {
    private static let page = """
        <title>A page</title><meta property="og:image" content="pic.png"><meta property="og:type" content="article">
        <meta property="og:image:width" content="99999"><p>About it.</p>
        """

    /// The web, by URL.
    private func server(
        _ web: [String: ClientResponse], configure: (inout HomeserverConfiguration) -> Void = { _ in }
    ) async throws -> MediaServer {
        try await MediaServer {
            $0.urlPreviews.isEnabled = true
            configure(&$0)
        } answer: { (request) throws(HTTPClientError) in
            let usual = request.port == (request.scheme == "https" ? 443 : 80)
            let url = "\(request.scheme)://\(request.host)\(usual ? "" : ":\(request.port)")\(request.pathAndQuery)"
            guard let found = web[url] else { throw .couldNotConnect(url) }
            return found
        }
    }

    private static func html(_ text: String, type: String = "text/html; charset=utf-8") -> ClientResponse {
        ClientResponse(status: 200, fields: [.contentType: type], body: Array(text.utf8))
    }

    private static func redirect(_ place: String) -> ClientResponse {
        ClientResponse(status: 302, fields: [.location: place])
    }

    private func preview(
        _ server: MediaServer, _ url: String, _ more: String = "", as user: String? = "alice"
    ) async throws -> MediaServer.Answer {
        try await server.call(
            .get, "/_matrix/client/v1/media/preview_url?url=\(PercentEncoding.encode(url))\(more)", as: user)
    }

    @Test func `a page is told of, with its picture as a file that goes again`() async throws {
        let picture = ThumbnailTests.png(12, 7)
        let server = try await server([
            "https://x.test/a/p": Self.html(Self.page),
            "https://x.test/a/pic.png": ClientResponse(status: 200, fields: [.contentType: "image/png"], body: picture),
        ])
        let answer = try await preview(server, "https://X.test/a/p#here")
        #expect(answer.status == 200)
        let body = try #require(answer.body)
        #expect(body["og:title"] == "A page" && body["og:description"] == "About it." && body["og:type"] == "article")
        #expect(body["og:url"] == "https://x.test/a/p" && body["og:image:type"] == "image/png")
        #expect(body["og:image:width"] == 12 && body["og:image:height"] == 7)
        #expect(body["matrix:image:size"]?.integer == Int64(picture.count))
        let media = String(try #require(body["og:image"]?.string).dropFirst("mxc://".count))
        #expect(try await server.download(media).bytes == picture)
        // The old path is the same, and nothing is fetched again.
        let old = try await server.call(.get, "/_matrix/media/v3/preview_url?url=https%3A%2F%2Fx.test%2Fa%2Fp")
        #expect(old.bytes == answer.bytes)
        #expect(server.network.asked.withLock { $0.count } == 2)
        let asked = server.network.asked.withLock { $0 }
        #expect(asked.allSatisfy { !$0.allowPrivateAddresses && $0.verifyTLS && $0.followRedirects == 0 })

        server.wait(days: 2)
        try await server.routes.sweep()
        #expect(try await server.download(media).status == 404)
        _ = try await preview(server, "https://x.test/a/p")
        #expect(server.network.asked.withLock { $0.count } == 4)
    }

    @Test func `without the operator's wish there are none, and never without a token`() async throws {
        let off = try await MediaServer()
        for path in ["/_matrix/client/v1/media/preview_url", "/_matrix/media/v3/preview_url"] {
            let answer = try await off.call(.get, path + "?url=http%3A%2F%2Fx.test")
            #expect((answer.status, answer.errcode) == (404, "M_UNRECOGNIZED"))
        }
        let on = try await server([:])
        #expect(try await preview(on, "http://x.test", as: nil).errcode == "M_MISSING_TOKEN")
        #expect(
            try await on.call(.get, "/_matrix/client/v1/media/preview_url").errcode == "M_MISSING_PARAM")
    }

    @Test(arguments: [
        "", "x.test", "/x", "ftp://x.test/", "file:///etc/passwd", "https://", "https://user:pw@x.test/",
        "https://x.test:0/",
        "gopher://x.test:70/", "javascript:alert(1)", "https://x.test:99999/",
    ])
    func `what is no link of the web is refused`(url: String) async throws {
        let server = try await server([:])
        let answer = try await preview(server, url)
        #expect((answer.status, answer.errcode) == (400, "M_INVALID_PARAM"))
        #expect(server.network.asked.withLock { $0.isEmpty })
    }

    @Test(arguments: ["http://x.test:22/", "https://x.test:8448/", "http://internal.corp/", "https://INTERNAL.corp/a"])
    func `unusual ports and denied hosts are not asked`(url: String) async throws {
        let server = try await server([:]) { $0.urlPreviews.deny = ["*.corp"] }
        let answer = try await preview(server, url)
        #expect((answer.status, answer.errcode) == (403, "M_FORBIDDEN"))
        #expect(server.network.asked.withLock { $0.isEmpty })
    }

    @Test func `redirects are followed, but not to where one may not ask`() async throws {
        let server = try await server([
            "http://x.test/": Self.redirect("https://y.test/a"), "https://y.test/a": Self.redirect("b"),
            "https://y.test/b": Self.html("<title>There</title>"),
            "http://port.test/": Self.redirect("http://port.test:6379/"),
            "http://deny.test/": Self.redirect("http://internal.corp/"),
            "https://down.test/": Self.redirect("http://x.test/"),
            "http://scheme.test/": Self.redirect("file:///etc/passwd"),
            "http://loop.test/": Self.redirect("http://loop.test/"),
        ]) { $0.urlPreviews.deny = ["*.corp"] }
        #expect(try await preview(server, "http://x.test").body?["og:title"] == "There")
        #expect(try await preview(server, "http://x.test").body?["og:url"] == "https://y.test/b")
        for url in ["port", "deny", "scheme", "loop"] {
            let answer = try await preview(server, "http://\(url).test/")
            #expect((answer.status, answer.errcode) == (502, "M_UNKNOWN"), "\(url)")
        }
        #expect(try await preview(server, "https://down.test/").status == 502)
        let asked = server.network.asked.withLock { $0 }
        #expect(!asked.contains { $0.port == 6379 || $0.host == "internal.corp" })
        #expect(asked.filter { $0.host == "loop.test" }.count == MediaLimits.previewRedirects + 1)
    }

    @Test func `a page without a picture of its own is embedded`() async throws {
        let embed = """
            {"type":"video","title":"A film","provider_name":"Films","thumbnail_url":"http://x.test/t.jpg","html":"<script>"}
            """
        let server = try await server([
            "http://x.test/": Self.html(
                "<link rel=alternate type='application/json+oembed' href='/o?url=1&amp;f=json'><p>Text</p>"),
            "http://x.test/o?url=1&f=json": ClientResponse(status: 200, body: Array(embed.utf8)),
            "http://x.test/t.jpg": ClientResponse(status: 200, fields: [.contentType: "image/jpeg"], body: [1, 2, 3]),
        ])
        let body = try #require(try await preview(server, "http://x.test/").body)
        #expect(body["og:title"] == "A film" && body["og:site_name"] == "Films" && body["og:description"] == "Text")
        #expect(body["matrix:image:size"] == 3 && body["og:image:width"] == nil)
    }

    @Test func `a picture, a file and a page in old letters are told of`() async throws {
        let server = try await server([
            "http://x.test/c%20d.png": ClientResponse(
                status: 200, fields: [.contentType: "image/png"], body: ThumbnailTests.png(3, 4)),
            "http://x.test/big.png": ClientResponse(
                status: 200, fields: [.contentType: "image/png"], body: Array(repeating: 1, count: 2_000)),
            "http://x.test/evil.svg": Self.html("<svg onload='alert(1)'/>", type: "image/svg+xml"),
            "http://x.test/file.zip": Self.html("PK", type: "application/zip"),
            "http://x.test/old": ClientResponse(
                status: 200, fields: [.contentType: "text/html; charset=windows-1251"],
                body: Array("<title>".utf8) + [0xC4, 0xE0] + Array("</title>".utf8)),
            "http://x.test/pictured": Self.html("<title>t</title><meta property=og:image content=evil.svg>"),
            "http://x.test/404": ClientResponse(status: 404, fields: [.contentType: "text/html"]),
        ]) { $0.limits.previewImageBytes = 1_000 }
        let picture = try #require(try await preview(server, "http://x.test/c d.png").body)
        #expect(picture["og:title"] == "c d.png" && picture["og:image:height"] == 4)
        #expect(try await preview(server, "http://x.test/big.png").status == 413)
        #expect(try await preview(server, "http://x.test/evil.svg").status == 502)
        #expect(try await preview(server, "http://x.test/file.zip").body == ["og:url": "http://x.test/file.zip"])
        #expect(try await preview(server, "http://x.test/old").body?["og:title"] == "Да")
        let pictured = try await preview(server, "http://x.test/pictured").body
        #expect(pictured?["og:title"] == "t" && pictured?["og:image"] == nil)
        #expect(try await preview(server, "http://x.test/404").status == 502)
    }

    @Test func `a page that never ends is read as far as the limit`() async throws {
        let long = "<title>Long</title>" + String(repeating: "<p>x</p>", count: 1_000_000)
        let server = try await server(["http://x.test/": Self.html(long)]) { $0.limits.previewPageBytes = 10_000 }
        #expect(try await preview(server, "http://x.test/").body?["og:title"] == "Long")
    }

    @Test func `a user asks for so many, and is then asked to wait`() async throws {
        let server = try await server([:]) {
            $0.rateLimits.isEnabled = true
            $0.rateLimits.previews = .init(burst: 2, perSecond: 0.001)
        }
        for _ in 0..<2 { #expect(try await preview(server, "http://x.test/").status == 502) }
        #expect(try await preview(server, "http://x.test/").errcode == "M_LIMIT_EXCEEDED")
        #expect(try await preview(server, "http://x.test/", as: "bob").status == 502)
    }

    @Test func `of an earlier time, what was kept then is given`() async throws {
        let count = Mutex(0)
        let server = try await MediaServer {
            $0.urlPreviews.isEnabled = true
        } answer: { (_) throws(HTTPClientError) in
            let number = count.withLock {
                $0 += 1
                return $0
            }
            return Self.html("<title>\(number)</title>")
        }
        let first = server.clock.now()
        #expect(try await preview(server, "http://x.test/").body?["og:title"] == "1")
        server.clock.advance(milliseconds: 2 * 3_600_000)
        #expect(try await preview(server, "http://x.test/").body?["og:title"] == "2")
        #expect(try await preview(server, "http://x.test/", "&ts=\(first + 5_000)").body?["og:title"] == "1")
        #expect(try await preview(server, "http://x.test/", "&ts=\(server.clock.now())").body?["og:title"] == "2")
        #expect(try await preview(server, "http://x.test/", "&ts=1").body?["og:title"] == "3")
        #expect(try await preview(server, "http://x.test/", "&ts=x").errcode == "M_INVALID_PARAM")
    }

    @Test(arguments: TestStore.available)
    func `previews are sealed, found by a hash, and no more than the limit`(engine: TestStore) async throws {
        try await engine.run { database, _ in
            try await Instance.migrate(database)
            let key = try #require(StorageSealer.Key(id: "k", bytes: Array(0..<32)))
            let sealer = StorageSealer(keys: [key], random: SystemRandomSource())
            let body = Array("{\"og:title\":\"what-must-not-be-read\"}".utf8)
            try await database.write { connection in
                let store = PreviewStore(connection, sealer)
                for time in 1...10 {
                    try store.save(.init(fetched: Int64(time), body: body), of: "h\(time % 3)", maximum: 4)
                }
            }
            func kept(_ hash: String, _ time: Int64, _ sealer: StorageSealer) async throws -> PreviewStore.Preview? {
                try await database.read { try PreviewStore($0, sealer).preview(of: hash, at: time) }
            }
            #expect(try await kept("h1", 100, sealer) == .init(fetched: 10, body: body))
            #expect(try await kept("h1", 9, sealer) == .init(fetched: 7, body: body))
            #expect(try await kept("h0", 5, sealer) == nil)
            #expect(try await kept("h2", 100, sealer)?.fetched == 8)
            #expect(try await kept("h1", 100, .plain) == nil)
            #expect(try await TestStore.columns(holding: Array("must-not".utf8), in: database).isEmpty)
            #expect(try await database.write { try PreviewStore($0, sealer).delete(before: 9) } == 2)
        }
    }
}
