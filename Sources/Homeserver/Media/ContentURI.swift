internal import MatrixAPI
internal import MatrixModel

/// What an `mxc://` URI names. Its media id holds nothing but `A-Z a-z 0-9 _ -`, so it can be no path.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#security-considerations-5>
struct ContentURI: Hashable, Sendable, CustomStringConvertible {
    let origin: ServerName
    let mediaID: String

    /// `nil` for a media id outside of its grammar.
    init?(origin: ServerName, mediaID: String) {
        let isValid = mediaID.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isValid, !mediaID.isEmpty, mediaID.utf8.count <= MediaLimits.mediaID else { return nil }
        self.origin = origin
        self.mediaID = mediaID
    }

    /// Of a request's path. Throws `M_NOT_FOUND`: what cannot be a name names nothing.
    init(_ request: APIRequest, origin: ServerName? = nil) throws(MatrixError) {
        let server = if let origin { origin } else { try? ServerName(request.parameter("serverName")) }
        guard let server, let uri = Self(origin: server, mediaID: request.parameter("mediaId")) else {
            throw Self.notFound
        }
        self = uri
    }

    static let notFound = MatrixError(.notFound, "There is no such media")

    var description: String { "mxc://\(origin)/\(mediaID)" }
}
