internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// A connection as Hummingbird's server keeps it.
struct OpenConnection: ServerChildChannelValue {
    let channel: any Channel
}

/// What Hummingbird's server does with a new connection: TLS, the HTTP parser and ``HTTPConnection``. Its own HTTP/1
/// channel is not used: it neither cancels a handler when the client goes, nor answers 431, nor bounds slow bodies.
struct ConnectionSetup: ServerChildChannel {
    let listener: HTTPListener
    let certificate: CertificateFiles?
    let limits: HTTPServerLimits

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<OpenConnection> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let certificate { try pipeline.addHandler(NIOSSLServerHandler(context: certificate.context)) }
            var decoderLimits = NIOHTTPDecoderLimitConfiguration()
            decoderLimits.maxHeaderFieldSize = limits.maximumHeaderBytes
            decoderLimits.maxHeaderListSize = limits.maximumHeaderBytes
            decoderLimits.maxHeaderFieldCount = limits.maximumHeaderFields
            let decoder = HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: decoderLimits)
            try pipeline.addHandler(ByteToMessageHandler(decoder))
            try pipeline.addHandler(HTTPConnection(listener: listener, limits: limits))
            return OpenConnection(channel: channel)
        }
    }

    func handle(value: OpenConnection, logger: Logger) async {
        await withTaskCancellationHandler {
            try? await value.channel.closeFuture.get()
        } onCancel: {
            value.channel.close(promise: nil)
        }
    }
}
