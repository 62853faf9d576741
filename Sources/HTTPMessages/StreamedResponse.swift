public import HTTPTypes

/// The response of another server whose body is read as it comes.
public struct StreamedResponse: Sendable {
    public var status: Int
    public var fields: HTTPFields
    /// Read once; letting it go ends the transfer.
    public var body: HTTPBody

    public init(status: Int, fields: HTTPFields = [:], body: HTTPBody) {
        self.status = status
        self.fields = fields
        self.body = body
    }
}
