internal import Cryptography
internal import HTTPMessages

/// Signs requests to an S3-compatible store: AWS Signature Version 4, in the header.
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>
struct AWSSignature: Sendable {
    let accessKeyID: String
    let secretAccessKey: [UInt8]
    let region: String

    /// A request, as far as it is signed.
    struct Request {
        var method: String
        /// Decoded, after the host.
        var segments: [String]
        /// Decoded.
        var query: [(name: String, value: String)] = []
        /// Names in lower case; `host` among them.
        var headers: [(name: String, value: String)]
        /// SHA-256 of the body, hexadecimal.
        var bodyHash: String
    }

    /// SHA-256 of no bytes.
    static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The headers to send beside those of the request: time, hash of the body, signature.
    /// - Parameter milliseconds: now, since 1970.
    func headers(for request: Request, at milliseconds: Int64) -> [(name: String, value: String)] {
        let time = Self.timestamp(milliseconds)
        let day = String(time.prefix(8))
        let added = [("x-amz-content-sha256", request.bodyHash), ("x-amz-date", time)]
        let signed = (request.headers + added).sorted { $0.0 < $1.0 }
        let names = signed.map(\.0).joined(separator: ";")
        let canonical = [
            request.method, Self.path(request.segments), Self.query(request.query),
            signed.map { "\($0.0):\($0.1)\n" }.joined(), names, request.bodyHash,
        ].joined(separator: "\n")
        let scope = "\(day)/\(region)/s3/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(Hex.encode(SHA256.hash(Array(canonical.utf8))))"
        var key = Array("AWS4".utf8) + secretAccessKey
        for step in [day, region, "s3", "aws4_request"] {
            key = HMACSHA256.authenticate(Array(step.utf8), key: key)
        }
        let signature = Hex.encode(HMACSHA256.authenticate(Array(text.utf8), key: key))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(accessKeyID)/\(scope),SignedHeaders=\(names),Signature=\(signature)"
        return added.map { (name: $0.0, value: $0.1) } + [(name: "authorization", value: authorization)]
    }

    /// `/a/b%20c`
    static func path(_ segments: [String]) -> String {
        "/" + segments.map(PercentEncoding.encode).joined(separator: "/")
    }

    /// `a=b&c=`, in order of the names.
    static func query(_ items: [(name: String, value: String)]) -> String {
        items.map { (PercentEncoding.encode($0.name), PercentEncoding.encode($0.value)) }.sorted { $0 < $1 }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// `20130524T000000Z`
    static func timestamp(_ milliseconds: Int64) -> String {
        let seconds = max(0, milliseconds / 1000)
        let date = CivilDate(daysSince1970: Int(seconds / 86_400))
        let rest = Int(seconds % 86_400)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
        return "\(date.year)\(two(date.month))\(two(date.day))T"
            + "\(two(rest / 3600))\(two(rest / 60 % 60))\(two(rest % 60))Z"
    }
}
