internal import HTTPMessages
internal import HTTPTypes
internal import NIOCore

/// The header of a response as bytes, but for its last lines: whether the connection closes is known only later, on
/// the event loop.
struct ResponseHead {
    /// How the body is delimited.
    enum Framing: Equatable {
        /// No body follows (HEAD, 204, 304).
        case none
        case length(Int)
        case chunked
        /// The body ends where the connection ends (HTTP/1.0).
        case untilClose
    }

    private(set) var bytes: ByteBuffer
    let framing: Framing

    init(_ response: OutgoingResponse, isHead: Bool, isHTTP10: Bool, date: String) {
        bytes = ByteBufferAllocator().buffer(capacity: 512)
        bytes.writeStaticString("HTTP/1.1 ")
        bytes.writeString(String(response.status.code))
        bytes.writeStaticString(" ")
        bytes.writeString(response.status.reasonPhrase)
        bytes.writeStaticString("\r\n")
        var hasDate = false
        for field in response.fields {
            // What delimits messages is decided here, not by handlers.
            switch field.name {
            case .contentLength, .transferEncoding, .connection, Self.keepAlive: continue
            case .date: hasDate = true
            default: break
            }
            bytes.writeString(field.name.rawName)
            bytes.writeStaticString(": ")
            bytes.writeString(field.value)
            bytes.writeStaticString("\r\n")
        }
        if !hasDate {
            bytes.writeStaticString("Date: ")
            bytes.writeString(date)
            bytes.writeStaticString("\r\n")
        }
        switch response.status.code {
        case 100..<200, 204, 304:
            framing = .none
            return
        default:
            break
        }
        if let length = response.body.length {
            bytes.writeStaticString("Content-Length: ")
            bytes.writeString(String(length))
            bytes.writeStaticString("\r\n")
            framing = isHead ? .none : .length(length)
        } else if isHead {
            framing = .none
        } else if isHTTP10 {
            framing = .untilClose
        } else {
            bytes.writeStaticString("Transfer-Encoding: chunked\r\n")
            framing = .chunked
        }
    }

    /// The whole header.
    func finished(closing: Bool) -> ByteBuffer {
        var whole = bytes
        whole.writeStaticString(closing ? "Connection: close\r\n\r\n" : "\r\n")
        return whole
    }

    private static let keepAlive = HTTPField.Name("keep-alive")
}
