public import MatrixModel

/// Brings EDUs that may be lost to other servers; a newer one of the same key takes the place of an older.
public protocol EphemeralSending: Sendable {
    func send(type: String, key: String, content: JSONValue, to destinations: some Sequence<ServerName>)
}

extension FederationSender: EphemeralSending {
    func send(type: String, key: String, content: JSONValue, to destinations: some Sequence<ServerName>) {
        sendEphemeral(type: type, key: key, content: content, to: destinations)
    }
}
