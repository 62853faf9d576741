internal import HTTPMessages
internal import NIOCore

/// Writes one response, from the task of its handler.
struct ResponseWriter: Sendable {
    let connection: NIOLoopBound<HTTPConnection>
    let channel: any Channel
    let isHead: Bool
    let isHTTP10: Bool

    /// Returns when the last byte is handed to the connection, or the connection is gone.
    func send(_ response: OutgoingResponse) async {
        let head = ResponseHead(response, isHead: isHead, isHTTP10: isHTTP10, date: DateField.now)
        if head.framing == .none {
            onConnection { $0.respond(head, nil) }
        } else if let bytes = response.body.bytesAtHand {
            let buffer = bytes.isEmpty ? nil : ByteBuffer(bytes: bytes)
            onConnection { $0.respond(head, buffer) }
        } else {
            onConnection { $0.beginResponse(head) }
            if await stream(response.body, head.framing) {
                onConnection { $0.endResponse() }
            } else {
                onConnection { $0.close() }
            }
        }
    }

    /// - Returns: whether the body was complete.
    private func stream(_ body: HTTPBody, _ framing: ResponseHead.Framing) async -> Bool {
        var written = 0
        var chunks = body.chunks.makeAsyncIterator()
        do {
            while let chunk = try await chunks.next() {
                written += chunk.count
                if case .length(let length) = framing, written > length { return false }
                // Waits until the bytes are with the kernel: a slow client slows the source.
                try await channel.writeAndFlush(frame(chunk, framing)).get()
            }
            if framing == .chunked {
                try await channel.writeAndFlush(ByteBuffer(staticString: "0\r\n\r\n")).get()
            }
        } catch {
            return false
        }
        if case .length(let length) = framing { return written == length }
        return true
    }

    private func frame(_ chunk: [UInt8], _ framing: ResponseHead.Framing) -> ByteBuffer {
        guard framing == .chunked else { return ByteBuffer(bytes: chunk) }
        var buffer = channel.allocator.buffer(capacity: chunk.count + 16)
        buffer.writeString(String(chunk.count, radix: 16))
        buffer.writeStaticString("\r\n")
        buffer.writeBytes(chunk)
        buffer.writeStaticString("\r\n")
        return buffer
    }

    private func onConnection(_ body: @escaping @Sendable (HTTPConnection) -> Void) {
        let connection = connection
        channel.eventLoop.execute { body(connection.value) }
    }
}
