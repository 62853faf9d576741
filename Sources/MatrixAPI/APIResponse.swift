public import HTTPMessages
public import HTTPTypes
public import MatrixModel

/// What a handler answers, before the server's own headers are added.
public struct APIResponse: Sendable {
    public var status: Int
    public var headers: HTTPFields
    public var body: HTTPBody

    public init(status: Int = 200, headers: HTTPFields = [:], body: HTTPBody) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON answer written field by field.
    public static func json<E: Error>(
        status: Int = 200, _ write: (inout JSONWriter) throws(E) -> Void
    ) throws(E) -> APIResponse {
        var writer = JSONWriter()
        try write(&writer)
        return json(bytes: writer.bytes, status: status)
    }

    /// A JSON answer from a value.
    public static func json(_ value: JSONValue, status: Int = 200) -> APIResponse {
        json(bytes: value.serialized(), status: status)
    }

    /// A JSON answer whose UTF-8 bytes exist already.
    public static func json(bytes: [UInt8], status: Int = 200) -> APIResponse {
        APIResponse(status: status, headers: [.contentType: "application/json"], body: HTTPBody(bytes))
    }

    /// `{}`
    public static let empty = APIResponse.json(bytes: [0x7B, 0x7D])

    /// Bytes of another type.
    public static func raw(_ bytes: [UInt8], contentType: String, status: Int = 200) -> APIResponse {
        APIResponse(status: status, headers: [.contentType: contentType], body: HTTPBody(bytes))
    }
}
