public import HTTPTypes

/// The response of another server, read to its end.
public struct ClientResponse: Sendable {
    public var status: Int
    public var fields: HTTPFields
    public var body: [UInt8]
    /// The URL that answered: after redirects, another than was asked.
    public var effectiveURL: String

    public init(status: Int, fields: HTTPFields = [:], body: [UInt8] = [], effectiveURL: String = "") {
        self.status = status
        self.fields = fields
        self.body = body
        self.effectiveURL = effectiveURL
    }
}
