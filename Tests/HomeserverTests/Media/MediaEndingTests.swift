import Cryptography
import Foundation
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import SQLDatabase
import Synchronization
import Testing

@testable import Homeserver

/// What ends the life of a file, on both engines: deletion, quarantine, retention, the bound of the cache.
@Suite("The end of media") struct MediaEndingTests {
    private func onEach(
        _ engine: TestStore, configure: (inout HomeserverConfiguration) -> Void = { _ in },
        _ test: (MediaServer) async throws -> Void
    ) async throws {
        try await engine.run { database, _ in
            let server = try await MediaServer(database: database, configure: configure) { request in
                let id = request.pathAndQuery.split(separator: "/").last?.prefix { $0 != "?" } ?? ""
                let file = "Content-Type: image/gif\r\n\r\nfile \(id)"
                return .init(
                    status: 200, fields: [.contentType: "multipart/mixed; boundary=XX"],
                    body: Array("--XX\r\n\r\n{}\r\n--XX\r\n\(file)\r\n--XX--\r\n".utf8))
            }
            try await test(server)
        }
    }

    private func administration(_ server: MediaServer) -> MediaAdministration {
        MediaAdministration(environment: server.environment)
    }

    private func name(_ text: String) throws -> MediaAdministration.Name {
        try #require(MediaAdministration.Name("mxc://" + text))
    }

    @Test(arguments: TestStore.available)
    func `bytes go with the last file that has them, and not at once`(engine: TestStore) async throws {
        try await onEach(engine) { server in
            let first = try await server.upload(Array("same".utf8))
            let second = try await server.upload(Array("same".utf8))
            let other = try await server.upload(Array("other".utf8))
            #expect(server.files.count == 2)
            #expect(try await administration(server).delete(name(first)))
            #expect(try await !administration(server).delete(name(first)))
            #expect(try await server.download(first).status == 404)
            server.wait(days: 2)
            try await server.routes.sweep()
            #expect(try await server.download(second).bytes == Array("same".utf8))
            #expect(server.files.count == 2)

            #expect(try await administration(server).delete(name(second)))
            try await server.routes.sweep()
            #expect(server.files.count == 2)
            server.wait(days: 1)
            try await server.routes.sweep()
            #expect(server.files.count == 1)
            #expect(try await server.download(other).status == 200)
            let again = try await server.upload(Array("same".utf8))
            #expect(try await server.download(again).status == 200)
        }
    }

    @Test(arguments: TestStore.available)
    func `what is quarantined is there for nobody, under no name`(engine: TestStore) async throws {
        try await onEach(engine) { server in
            let bad = try await server.upload(Array("bad".utf8))
            let copy = try await server.upload(Array("bad".utf8))
            let good = try await server.upload(Array("good".utf8))
            #expect(try await administration(server).quarantine(name(bad)) == 2)
            let later = try await server.upload(Array("bad".utf8))
            for media in [bad, copy, later] {
                let id = media.dropFirst("a.test/".count)
                for path in [
                    "/_matrix/client/v1/media/download/\(media)", "/_matrix/client/v1/media/download/\(media)/a.png",
                    "/_matrix/client/v1/media/thumbnail/\(media)?width=32&height=32",
                    "/_matrix/federation/v1/media/download/\(id)",
                    "/_matrix/federation/v1/media/thumbnail/\(id)?width=32&height=32",
                ] {
                    let answer = try await server.call(.get, path)
                    #expect(answer.status == 404 && answer.errcode == "M_NOT_FOUND", "\(path)")
                }
            }
            #expect(try await server.download(good).status == 200)
            #expect(try await administration(server).release(name(copy)) == 3)
            #expect(try await server.download(later).status == 200)
        }
    }

    @Test(arguments: TestStore.available)
    func `another server's file is quarantined before it is fetched`(engine: TestStore) async throws {
        try await onEach(engine) { server in
            #expect(try await administration(server).quarantine(name("b.test/one")) == 1)
            #expect(try await server.download("b.test/one").status == 404)
            #expect(server.network.asked.withLock { $0.isEmpty })
            try await server.routes.sweep()
            #expect(try await server.download("b.test/one").status == 404)
            #expect(try await administration(server).release(name("b.test/one")) == 1)
            #expect(try await server.download("b.test/one").bytes == Array("file one".utf8))

            // And one whose bytes are known to be bad when they come.
            let bad = try await server.upload(Array("file two".utf8))
            #expect(try await administration(server).quarantine(name(bad)) == 1)
            #expect(try await server.download("b.test/two").status == 404)
        }
    }

    @Test(arguments: TestStore.available)
    func `all of a user is quarantined, and an upload that is still to come`(engine: TestStore) async throws {
        try await onEach(engine) { server in
            let mine = try await server.upload([1])
            let created = try await server.call(.post, "/_matrix/media/v1/create")
            let announced = (created.body?["content_uri"]?.string ?? "").dropFirst("mxc://".count)
            let others = try await server.call(.post, "/_matrix/media/v3/upload", as: "bob", .init([2]))
            let theirs = (others.body?["content_uri"]?.string ?? "").dropFirst("mxc://".count)
            #expect(try await administration(server).quarantine(uploadsOf: UserID("@alice:a.test")) == 2)
            #expect(try await server.download(mine).status == 404)
            #expect(try await server.call(.put, "/_matrix/media/v3/upload/\(announced)", .init([3])).status == 404)
            #expect(try await server.download(String(theirs)).status == 200)
        }
    }

    @Test(arguments: TestStore.available)
    func `copies give way when they take too much, those unused for longest first`(engine: TestStore) async throws {
        try await onEach(engine, configure: { $0.media.remoteCacheBytes = 20 }) { server in
            let own = try await server.upload(Array("our own file, which is not counted".utf8))
            for id in ["one", "two", "three"] {
                #expect(try await server.download("b.test/\(id)").status == 200)
                server.clock.advance(milliseconds: 60_000)
            }
            // Used again, after what is written of it is a day old.
            server.wait(days: 2)
            #expect(try await server.download("b.test/one").status == 200)
            try await server.routes.sweep()
            let left = try await administration(server).list(.init(), limit: 10).map { $0.mediaID }.filter {
                $0.count < 9
            }
            #expect(left == ["one", "three"])
            server.wait(days: 1)
            try await server.routes.sweep()
            #expect(server.files.count == 3)
            #expect(try await server.download(own).status == 200)
            #expect(try await server.download("b.test/two").status == 200)
        }
    }

    @Test(arguments: TestStore.available)
    func `what nobody asks for goes after the days that are set, but no profile's picture`(
        engine: TestStore
    ) async throws {
        try await onEach(engine, configure: { $0.media.retentionDays = 30 }) { server in
            let unused = try await server.upload(Array("unused".utf8))
            let used = try await server.upload(Array("used".utf8))
            let avatar = try await server.upload(Array("avatar".utf8))
            _ = try await server.download("b.test/copy")
            try await server.environment.database.write { connection in
                _ = try ProfileStore(connection).set(
                    "avatar_url", json: "\"mxc://\(avatar)\"", of: UserID("@alice:a.test"))
            }
            server.wait(days: 29)
            #expect(try await server.download(used).status == 200)
            try await server.routes.sweep()
            #expect(try await server.download(unused, range: "bytes=0-0").status == 206)
            server.clock.advance(milliseconds: 31 * 86_400_000)
            _ = try await server.download(used)
            try await server.routes.sweep()
            #expect(try await server.download(unused).status == 404)
            #expect(try await server.download(used).status == 200)
            #expect(try await server.download(avatar).status == 200)
            let names = try await administration(server).list(.init(), limit: 10).map(\.mediaID)
            #expect(!names.contains("copy"))
        }
    }

    @Test(.enabled(if: ThumbnailTests.hasProgram, "vipsthumbnail is not installed"))
    func `bytes that no row knows are found, and thumbnails go with their file`() async throws {
        try await onEach(.sqlite) { server in
            let image = try await server.upload(ThumbnailTests.png(200, 200))
            _ = try await server.call(.get, "/_matrix/client/v1/media/thumbnail/\(image)?width=32&height=32")
            #expect(server.files.count == 2)
            // As after a crash between the file and its row.
            try await server.environment.database.write { connection in
                _ = try connection.execute("DELETE FROM media")
            }
            server.wait(days: 2)
            for _ in 0..<64 {
                try await server.routes.sweep()
                server.clock.advance(milliseconds: 600_000)
            }
            #expect(server.files.isEmpty)
        }
    }

    @Test func `only administrators are served, with what they ask for`() async throws {
        try await onEach(.sqlite) { server in
            let media = try await server.upload(Array("x".utf8), type: "text/plain", name: "x.txt")
            let path = "/_fedchat/admin/v1/media/\(media)"
            for (method, target) in [
                (HTTPRequest.Method.put, path + "/quarantine"), (.delete, path), (.get, "/_fedchat/admin/v1/media"),
                (.put, "/_fedchat/admin/v1/users/@alice:a.test/media/quarantine"),
                (.put, "/_fedchat/admin/v1/rooms/!r:a.test/media/quarantine"),
                (.post, "/_fedchat/admin/v1/media/purge_remote"),
            ] {
                let refused = try await server.call(method, target, .init("{}"))
                #expect((refused.status, refused.errcode) == (403, "M_FORBIDDEN"), "\(target)")
            }
            func ask(_ method: HTTPRequest.Method, _ path: String, _ body: String = "{}") async throws -> JSONValue? {
                try await server.call(method, path, as: "admin", method == .get ? .empty : .init(body)).body
            }
            #expect(try await ask(.put, path + "/quarantine") == ["count": 1])
            let listed = try await ask(.get, "/_fedchat/admin/v1/media?quarantined=true&user_id=@alice:a.test")
            let found = try #require(listed?["media"]?.elements.first)
            #expect(found["content_uri"]?.string == "mxc://\(media)")
            #expect(found["file_name"]?.string == "x.txt" && found["length"] == 1)
            #expect(try await ask(.delete, path + "/quarantine") == ["count": 1])
            #expect(try await server.download(media).status == 200)
            #expect(try await ask(.delete, path) == ["count": 1])
            #expect(try await ask(.delete, path)?["errcode"]?.string == "M_NOT_FOUND")
            _ = try await server.download("b.test/one")
            server.wait(days: 1)
            let purge = "{\"unused_since\":\(server.clock.now())}"
            #expect(try await ask(.post, "/_fedchat/admin/v1/media/purge_remote", purge) == ["count": 1])
            #expect(
                try await ask(.put, "/_fedchat/admin/v1/rooms/!r:a.test/media/quarantine")?["errcode"] == "M_NOT_FOUND")
            #expect(try await ask(.put, "/_fedchat/admin/v1/users/@alice:a.test/media/quarantine") == ["count": 0])
        }
    }

    @Test func `files are found wherever an event names them`() throws {
        let json = """
            {"content":{"url":"mxc://a.test/one","info":{"thumbnail_url":"mxc://b.test:8448/t_w-o"},
            "formatted_body":"<img src=\\"mxc://a.test/three\\">","body":"mxc://a.test/../etc mxc:// mxc://a.test/"}}
            """
        let names = MediaAdministration.names(in: Array(json.utf8)).map(\.description).sorted()
        #expect(names == ["mxc://a.test/one", "mxc://a.test/three", "mxc://b.test:8448/t_w-o"])
    }
}
