public import HTTPTypes

/// A response that a server is to send. Content-Length and Transfer-Encoding are set by the server, from the body.
public struct OutgoingResponse: Sendable {
    public var status: HTTPResponse.Status
    public var fields: HTTPFields
    public var body: HTTPBody

    public init(status: HTTPResponse.Status, fields: HTTPFields = [:], body: HTTPBody = .empty) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}
