internal import HTTPMessages
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1

/// One connection: takes requests apart, starts the handler for each, writes its response, one after the other.
/// Everything here runs on the connection's event loop.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = Never
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// For the head of a request.
        case waiting
        /// A small body, before the handler starts.
        case receiving(RequestHead, [UInt8])
        /// The handler works or its response is being written; a large body may still be coming.
        case answering
        /// The last response is written; what the client still sends is dropped, so that it can read the response.
        case lingering
        /// The last response is on its way, then the connection closes.
        case closing
    }

    let limits: HTTPServerLimits
    private let listener: HTTPListener
    private var address = ClientAddress(socket: nil, isTLS: false)
    private(set) var context: ChannelHandlerContext?
    private(set) var phase = Phase.waiting
    private var task: Task<Void, Never>?

    // The request that is being answered.
    private(set) var body: RequestBodyStream?
    private var bodyStart = NIODeadline.now()
    private var receivedBytes = 0
    private var requestEnded = false
    private var owesContinue = false
    private var keepsAlive = false

    // The connection.
    private var pending = CircularBuffer<HTTPServerRequestPart>()
    private var inputClosed = false
    private var isBroken = false
    private var isStopping = false
    private var heldRead = false
    private lazy var timer = ConnectionTimer(self)

    init(listener: HTTPListener, limits: HTTPServerLimits) {
        self.listener = listener
        self.limits = limits
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { begin(context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        leave()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        switch phase {
        case .lingering, .closing:
            break
        case .answering where requestEnded:
            guard pending.count < limits.maximumPipelinedParts else { return close() }
            pending.append(part)
        case .waiting, .receiving, .answering:
            accept(part)
        }
    }

    /// Backpressure: nothing is read while a response is due or the handler has enough of the body.
    func read(context: ChannelHandlerContext) {
        if mayRead { context.read() } else { heldRead = true }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed: inputEnded()
        case is ChannelShouldQuiesceEvent: stop()
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return close() }
        switch phase {
        case .waiting, .receiving:
            refuse(error == .headerOverflow ? .requestHeaderFieldsTooLarge : .badRequest)
        case .answering:
            isBroken = true
            if !requestEnded { body?.finish(.failure(.disconnected)) }
        case .lingering, .closing:
            break
        }
    }

    // MARK: A request comes

    private func begin(_ context: ChannelHandlerContext) {
        address = ClientAddress(socket: context.remoteAddress, isTLS: listener.tls != nil)
        timer.set(limits.headerTimeout)
    }

    private func accept(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head):
            guard let head = RequestHead(head, isSecure: address.isSecure) else { return refuse(.badRequest) }
            receiveHead(head)
        case .body(let buffer):
            receivedBytes += buffer.readableBytes
            timer.extend(to: bodyDeadline)
            if case .receiving(let head, var bytes) = phase {
                phase = .waiting  // so that the array is not copied
                bytes.append(contentsOf: buffer.readableBytesView)
                phase = .receiving(head, bytes)
            } else {
                body?.receive(Array(buffer: buffer))
            }
        case .end:
            requestEnded = true
            if case .receiving(let head, let bytes) = phase {
                answer(head, HTTPBody(bytes))
                timer.set(nil)
            } else {
                body?.finish(.success(()))
                timer.set(nil)
            }
        }
    }

    private func receiveHead(_ head: RequestHead) {
        requestEnded = false
        receivedBytes = 0
        bodyStart = .now()
        keepsAlive = head.isKeepAlive
        switch head.framing {
        case .none:
            phase = .receiving(head, [])
        case .length(let length) where length <= limits.bufferedBodyBytes:
            phase = .receiving(head, [])
            owesContinue = head.expectsContinue
            payContinue()
            timer.set(limits.bodyStallTimeout)
        case .length, .chunked:
            owesContinue = head.expectsContinue
            let stream = makeBodyStream()
            body = stream
            var length: Int?
            if case .length(let announced) = head.framing { length = announced }
            answer(head, HTTPBody(length: length) { () async throws(HTTPBodyError) in try await stream.next() })
            timer.set(limits.bodyStallTimeout)
        }
    }

    private func makeBodyStream() -> RequestBodyStream {
        guard let context else { return RequestBodyStream(window: 0) {} }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        return RequestBodyStream(window: limits.streamedBodyWindow) {
            eventLoop.execute { connection.value.bodyWanted() }
        }
    }

    private func bodyWanted() {
        guard case .answering = phase, !requestEnded else { return }
        payContinue()
        // The time that the handler took is not the client's fault.
        timer.extend(to: .now() + TimeAmount(limits.bodyStallTimeout))
        resumeReading()
    }

    private func payContinue() {
        guard owesContinue, let context else { return }
        owesContinue = false
        write(context.channel.allocator.buffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n"))
    }

    private func answer(_ head: RequestHead, _ body: HTTPBody) {
        guard let context else { return }
        phase = .answering
        let client = listener.trustsForwarded ? address.forwarded(by: head.request.headerFields) : address
        let request = IncomingRequest(
            head: head.request, body: body, remoteAddress: client.text, isSecure: client.isSecure)
        let writer = ResponseWriter(
            connection: NIOLoopBound(self, eventLoop: context.eventLoop), channel: context.channel,
            isHead: head.request.method == .head, isHTTP10: head.isHTTP10)
        let handler = listener.handler
        task = Task { await writer.send(await handler.handle(request)) }
    }

    // MARK: A response goes

    /// Writes a response whose body is at hand, or that has none.
    func respond(_ head: ResponseHead, _ bytes: ByteBuffer?) {
        guard case .answering = phase else { return }
        let closes = mustClose
        var buffer = head.finished(closing: closes)
        if var bytes {
            if bytes.readableBytes <= 16 * 1024 {
                buffer.writeBuffer(&bytes)
                write(buffer)
            } else {
                context?.write(wrapOutboundOut(buffer), promise: nil)
                write(bytes)
            }
        } else {
            write(buffer)
        }
        endResponse(closing: closes)
    }

    /// Writes the header of a response whose body follows from the task.
    func beginResponse(_ head: ResponseHead) {
        guard case .answering = phase else { return }
        if head.framing == .untilClose || mustClose { keepsAlive = false }
        write(head.finished(closing: !keepsAlive))
        timer.set(limits.writeStallTimeout)
    }

    /// After the last byte of a response.
    func endResponse() {
        guard case .answering = phase else { return }
        endResponse(closing: mustClose)
    }

    /// The response cannot be completed: its receiver must notice.
    func close() {
        context?.close(promise: nil)
    }

    private var mustClose: Bool {
        !keepsAlive || !requestEnded || isStopping || isBroken || (inputClosed && pending.isEmpty)
    }

    private func endResponse(closing: Bool) {
        task = nil
        body = nil
        owesContinue = false
        if closing { return requestEnded ? closeWhenWritten() : linger() }
        phase = .waiting
        timer.set(limits.idleTimeout)
        while !pending.isEmpty {
            if case .answering = phase, requestEnded { break }
            guard isOpen else { break }
            accept(pending.removeFirst())
        }
        resumeReading()
    }

    private var isOpen: Bool {
        switch phase {
        case .lingering, .closing: false
        case .waiting, .receiving, .answering: true
        }
    }

    private func write(_ buffer: ByteBuffer) {
        context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    /// Answers what is not a request, or not one we take.
    private func refuse(_ status: HTTPResponseStatus) {
        guard let context else { return }
        var buffer = context.channel.allocator.buffer(capacity: 128)
        buffer.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        buffer.writeStaticString("Content-Length: 0\r\nConnection: close\r\n\r\n")
        write(buffer)
        linger()
    }

    private func closeWhenWritten() {
        guard let context else { return }
        phase = .closing
        timer.set(limits.writeStallTimeout)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenComplete { _ in connection.value.close() }
    }

    /// Closing at once would make the kernel answer what the client still sends with a reset, and the client might
    /// lose the response.
    private func linger() {
        guard let context else { return }
        if inputClosed { return closeWhenWritten() }
        phase = .lingering
        pending.removeAll()
        timer.set(limits.lingerTimeout)
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.close(mode: .output).whenFailure { _ in connection.value.close() }
        resumeReading()
    }

    // MARK: Reading, endings, time

    private var mayRead: Bool {
        switch phase {
        case .waiting, .receiving, .lingering: true
        case .answering: !requestEnded && body?.wantsMore ?? false
        case .closing: false
        }
    }

    private func resumeReading() {
        guard heldRead, mayRead else { return }
        heldRead = false
        context?.read()
    }

    /// The client sends no more; most often it is gone. Who waits for news on its behalf need not wait on.
    private func inputEnded() {
        inputClosed = true
        switch phase {
        case .waiting, .receiving, .lingering:
            close()
        case .answering:
            if !requestEnded { body?.finish(.failure(.disconnected)) }
            task?.cancel()
        case .closing:
            break
        }
    }

    private func stop() {
        guard let context, !isStopping else { return }
        isStopping = true
        if case .waiting = phase { return close() }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(limits.cancellationGrace)) { connection.value.task?.cancel() }
    }

    private func leave() {
        timer.set(nil)
        timer.cancel()
        task?.cancel()
        task = nil
        body?.finish(.failure(.disconnected))
        body = nil
        phase = .closing
    }

    private var bodyDeadline: NIODeadline {
        let (earned, overflow) = (receivedBytes / max(limits.minimumBodyRate, 1))
            .multipliedReportingOverflow(by: 1_000_000_000)
        let patience = TimeAmount(limits.bodyGrace) + .nanoseconds(overflow ? .max / 4 : Int64(earned))
        return min(.now() + TimeAmount(limits.bodyStallTimeout), bodyStart + patience)
    }

    /// The time that was set has passed.
    func timeIsUp() {
        switch phase {
        case .receiving:
            refuse(.requestTimeout)
        case .answering where !requestEnded && mayRead:
            body?.finish(.failure(.timedOut))
        case .answering where !requestEnded:
            timer.set(limits.bodyStallTimeout)  // it is the handler who does not read
        case .answering:
            if timer.writingMovedOn(orIdle: true) { timer.setAgain(limits.writeStallTimeout) } else { close() }
        case .waiting, .closing:
            if timer.writingMovedOn(orIdle: false) { timer.setAgain(limits.writeStallTimeout) } else { close() }
        case .lingering:
            close()
        }
    }
}

@available(*, unavailable)
extension HTTPConnection: Sendable {}
