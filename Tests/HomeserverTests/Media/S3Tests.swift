import Cryptography
import HTTPMessages
import HTTPTypes
import HomeserverStorage
import MatrixAPI
import MatrixModel
import Synchronization
import Testing

@testable import Homeserver

@Suite("A store that speaks as S3 does") struct S3Tests {
    /// As the documentation signs: <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
    @Test(
        arguments: [
            (
                "GET", ["test.txt"], [], [("range", "bytes=0-9")],
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
            ),
            ("GET", [""], [("lifecycle", "")], [], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                "GET", [""], [("max-keys", "2"), ("prefix", "J")], [],
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
            ),
        ] as [(String, [String], [(String, String)], [(String, String)], String)])
    func `requests are signed`(
        method: String, segments: [String], query: [(String, String)], headers: [(String, String)], signature: String
    ) {
        let signer = AWSSignature(
            accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: Array("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".utf8), region: "us-east-1")
        let request = AWSSignature.Request(
            method: method, segments: segments, query: query.map { (name: $0.0, value: $0.1) },
            headers: (headers + [("host", "examplebucket.s3.amazonaws.com")]).map { (name: $0.0, value: $0.1) },
            bodyHash: AWSSignature.emptyHash)
        // 2013-05-24, midnight.
        let added = signer.headers(for: request, at: 1_369_353_600_000)
        #expect(added.first { $0.name == "x-amz-date" }?.value == "20130524T000000Z")
        #expect(added.first { $0.name == "authorization" }?.value.hasSuffix("Signature=\(signature)") == true)
    }

    @Test(arguments: [
        (0, 1970, 1, 1), (11_016, 2000, 2, 29), (11_017, 2000, 3, 1), (20_820, 2027, 1, 2), (47_540, 2100, 2, 28),
    ])
    func `days have dates`(days: Int, year: Int, month: Int, day: Int) {
        let date = CivilDate(daysSince1970: days)
        #expect(date == CivilDate(year: year, month: month, day: day))
        #expect(date.daysSince1970 == days)
    }

    @Test func `dates of headers are read`() {
        #expect(CivilDate.milliseconds(httpDate: "Wed, 21 Oct 2015 07:28:00 GMT") == 1_445_412_480_000)
        for text in ["", "yesterday", "Wed, 21 Oct 2015 07:28 GMT", "Wed, 99 Oct 2015 07:28:00 GMT"] {
            #expect(CivilDate.milliseconds(httpDate: text) == nil)
        }
    }

    /// A bucket in memory that knows the calls we make.
    final class Bucket: Sendable {
        let objects = Mutex<[String: [UInt8]]>([:])
        let parts = Mutex<[Int: [UInt8]]>([:])
        let calls = Mutex<[String]>([])
        let failures = Mutex(0)

        func answer(_ request: ClientRequest) -> ClientResponse {
            let target = PathAndQuery(request.pathAndQuery)
            let path = target.path
            calls.withLock { $0.append("\(request.method.rawValue) \(request.pathAndQuery)") }
            let fails = failures.withLock { left in
                left -= 1
                return left >= 0
            }
            if fails { return ClientResponse(status: 503) }
            let query = target.query
            func xml(_ text: String) -> ClientResponse { ClientResponse(status: 200, body: Array(text.utf8)) }
            switch request.method {
            case .post where query["uploads"] != nil:
                return xml(
                    "<InitiateMultipartUploadResult><UploadId>up&amp;1</UploadId></InitiateMultipartUploadResult>")
            case .put where query["uploadId"] == "up&1":
                let number = Int(query["partNumber"] ?? "") ?? 0
                parts.withLock { $0[number] = request.body }
                return ClientResponse(status: 200, fields: [.eTag: "\"part\(number)\""])
            case .post where query["uploadId"] == "up&1":
                let body = String(decoding: request.body, as: UTF8.self)
                let all = parts.withLock { $0 }
                let expected = all.keys.sorted().map {
                    "<Part><PartNumber>\($0)</PartNumber><ETag>\"part\($0)\"</ETag></Part>"
                }
                guard body == "<CompleteMultipartUpload>\(expected.joined())</CompleteMultipartUpload>" else {
                    return xml("<Error><Code>InvalidPart</Code></Error>")
                }
                objects.withLock { $0[path] = all.keys.sorted().flatMap { all[$0] ?? [] } }
                return xml("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")
            case .put:
                objects.withLock { $0[path] = request.body }
                return ClientResponse(status: 200, fields: [.eTag: "\"x\""])
            case .get where query["list-type"] == "2":
                let (prefix, after) = (query["prefix"] ?? "", query["start-after"] ?? "")
                let all = objects.withLock { $0.keys }.map { String($0.dropFirst("/files/".count)) }.sorted()
                let rest = all.filter { $0.hasPrefix(prefix) && $0 > after }
                return xml(
                    "<ListBucketResult><IsTruncated>\(rest.count > 2)</IsTruncated>"
                        + rest.prefix(2).map { "<Contents><Key>\($0)</Key></Contents>" }.joined()
                        + "</ListBucketResult>")
            case .delete:
                _ = objects.withLock { $0.removeValue(forKey: path) }
                return ClientResponse(status: 204)
            default:
                guard let found = objects.withLock({ $0[path] }) else { return ClientResponse(status: 404) }
                if request.method == .head {
                    return ClientResponse(
                        status: 200,
                        fields: [
                            .contentLength: String(found.count), .lastModified: "Wed, 21 Oct 2015 07:28:00 GMT",
                        ])
                }
                guard
                    case .part(let range)? = MediaAnswer.range(
                        request.fields[.range] ?? "", of: Int64(found.count))
                else { return ClientResponse(status: 200, body: found) }
                return ClientResponse(
                    status: 206, body: Array(found[Int(range.lowerBound)..<Int(range.upperBound)]))
            }
        }
    }

    private func server(_ bucket: Bucket, isPathStyle: Bool = true) async throws -> MediaServer {
        try await MediaServer { configuration in
            var s3 = HomeserverConfiguration.S3()
            s3.endpoint = "http://store.test:9000"
            s3.bucket = "files"
            s3.accessKeyID = "id"
            s3.secretAccessKey = Array("secret".utf8)
            s3.isPathStyle = isPathStyle
            configuration.media.s3 = s3
        } answer: { request in
            bucket.answer(request)
        }
    }

    @Test func `files lie in the store and nowhere else, and come in parts`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket)
        let bytes = (0..<9_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let name = try await server.upload(bytes, type: "video/mp4")
        let hash = Hex.encode(SHA256.hash(bytes))
        let path = "/files/\(hash.prefix(2))/\(hash.dropFirst(2).prefix(2))/\(hash)"
        #expect(bucket.objects.withLock { Array($0.keys) } == [path])
        #expect(bucket.parts.withLock { $0.mapValues(\.count) } == [1: 8 << 20, 2: 9_000_000 - 8 << 20])
        #expect(server.files.isEmpty)
        #expect(try await server.download(name).bytes == bytes)
        let part = try await server.download(name, range: "bytes=8000000-8000099")
        #expect((part.status, part.bytes) == (206, Array(bytes[8_000_000..<8_000_100])))
        let asked = server.network.asked.withLock { $0 }
        #expect(asked.allSatisfy { $0.host == "store.test" && $0.port == 9000 && $0.scheme == "http" })
        #expect(
            asked.allSatisfy {
                $0.fields[.authorization]?.hasPrefix("AWS4-HMAC-SHA256 Credential=id/") == true
            })
        let small = try await server.upload(Array("small".utf8))
        #expect(try await server.download(small).bytes == Array("small".utf8))
        #expect(bucket.objects.withLock { $0.count } == 2)
        #expect(try await server.download(try await server.upload([])).status == 200)
    }

    @Test func `the bucket may stand in the host's name`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket, isPathStyle: false)
        let name = try await server.upload(Array("x".utf8))
        #expect(try await server.download(name).bytes == Array("x".utf8))
        #expect(server.network.asked.withLock { $0.allSatisfy { $0.host == "files.store.test" } })
    }

    @Test func `objects that no row knows are found, page by page, and nothing else goes`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket)
        let name = try await server.upload(Array("known".utf8))
        let known = Hex.encode(SHA256.hash(Array("known".utf8)))
        let first = known.prefix(2)
        let before = bucket.objects.withLock { Set($0.keys) }
        let others = ["/files/\(first)/zz/note", "/files/\(first)/ab/\(known)", "/files/other/\(known)"]
        let orphans = (0..<5).map { "/files/\(first)/0\($0)/\(first)0\($0)" + String(repeating: "a", count: 60) }
        bucket.objects.withLock { objects in
            for path in others + orphans { objects[path] = [1] }
        }
        for _ in 0..<256 / MediaLimits.foldersAtOnce {
            try await server.routes.sweep()
            server.clock.advance(milliseconds: Int64(Housekeeping.interval / .milliseconds(1)))
        }
        #expect(bucket.objects.withLock { Set($0.keys) } == before.union(others))
        #expect(try await server.download(name).status == 200)
    }

    @Test func `a store that stumbles is asked again, one that is down is an error and leaves no row`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket)
        bucket.failures.withLock { $0 = 3 }
        let name = try await server.upload(Array("x".utf8))
        #expect(try await server.download(name).status == 200)
        bucket.failures.withLock { $0 = 1_000 }
        let answer = try await server.call(.post, "/_matrix/media/v3/upload", HTTPBody([1, 2]))
        #expect(answer.status == 500)
        let listed = try await MediaAdministration(environment: server.environment).list(.init(), limit: 10)
        #expect(listed.count == 1)
        #expect(server.files.isEmpty)
    }

    @Test func `what is deleted leaves the store`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket)
        let name = try await server.upload(Array("x".utf8))
        let administration = MediaAdministration(environment: server.environment)
        #expect(try await administration.delete(try #require(.init("mxc://\(name)"))))
        try await server.routes.sweep()
        #expect(bucket.objects.withLock { $0.count } == 1)
        server.clock.advance(milliseconds: 2 * 3_600_000)
        try await server.routes.sweep()
        #expect(bucket.objects.withLock { $0.isEmpty })
    }

    @Test(.enabled(if: ThumbnailTests.hasProgram, "vipsthumbnail is not installed"))
    func `thumbnails are made of what lies in the store, once`() async throws {
        let bucket = Bucket()
        let server = try await server(bucket)
        let name = try await server.upload(ThumbnailTests.png(300, 200))
        let path = "/_matrix/client/v1/media/thumbnail/\(name)?width=32&height=32"
        let small = try await server.call(.get, path)
        #expect(small.status == 200)
        #expect(ImageHeader(small.bytes)?.width == 48)
        #expect(server.files.count == 1)
        #expect(try await server.call(.get, path).bytes == small.bytes)
    }
}
