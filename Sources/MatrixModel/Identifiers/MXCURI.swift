/// Where media is: `mxc://server/mediaId`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris>
public struct MXCURI: MatrixIdentifier {
    public let text: String
    /// The server that the media was uploaded to.
    public let serverName: ServerName
    /// `[A-Za-z0-9_-]+`, so it cannot lead out of a directory.
    public let mediaID: String

    public init(_ text: String) throws(InvalidIdentifier) {
        let scheme = "mxc://"
        guard text.hasPrefix(scheme), text.utf8.count <= 512, let slash = text.utf8.lastIndex(of: 0x2F) else {
            throw InvalidIdentifier(text: text, rule: "an mxc URI")
        }
        let start = text.utf8.index(text.startIndex, offsetBy: scheme.utf8.count)
        guard start <= slash, let server = try? ServerName(String(text[start..<slash])) else {
            throw InvalidIdentifier(text: text, rule: "an mxc URI")
        }
        try self.init(server: server, mediaID: String(text[text.utf8.index(after: slash)...]))
    }

    /// The URI of media on a server.
    public init(server: ServerName, mediaID: String) throws(InvalidIdentifier) {
        let text = "mxc://\(server.text)/\(mediaID)"
        guard (1...255).contains(mediaID.utf8.count), mediaID.utf8.allSatisfy(IdentifierGrammar.isURLSafe) else {
            throw InvalidIdentifier(text: text, rule: "an mxc URI")
        }
        self.text = text
        serverName = server
        self.mediaID = mediaID
    }
}
