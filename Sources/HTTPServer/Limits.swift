/// What a server grants its clients. Sizes are in bytes.
public struct HTTPServerLimits: Sendable {
    /// All header fields and the request line together; above it the answer is 431. Access tokens and cookies of
    /// proxies fit many times over.
    public var maximumHeaderBytes = 32 * 1024

    /// Header fields in a request.
    public var maximumHeaderFields = 128

    /// Open connections of one listener, fewer where the process may open few files; more wait in the backlog. An idle
    /// long poll takes 19 KiB, with TLS 38 KiB.
    public var maximumConnections = 20_000

    /// Connections that the kernel keeps until they are accepted (it may lower this to its own `somaxconn`).
    public var backlog = 4096

    /// From the connection to the end of the first request's header, with the TLS handshake.
    public var headerTimeout: Duration = .seconds(15)

    /// From one response to the end of the next request's header.
    public var idleTimeout: Duration = .seconds(75)

    /// How long a request body may pause while it is waited for.
    public var bodyStallTimeout: Duration = .seconds(30)

    /// A body slower than this, in bytes per second, is cut off after ``bodyGrace``.
    public var minimumBodyRate = 1024

    /// For how long a body may be slower than ``minimumBodyRate``.
    public var bodyGrace: Duration = .seconds(60)

    /// How long a client may take none of the bytes that wait for it.
    public var writeStallTimeout: Duration = .seconds(60)

    /// How long, and how much, a client may send on after a response that did not wait for its body.
    public var lingerTimeout: Duration = .seconds(2)

    /// Request bodies up to this size are received before the handler starts; larger ones are streamed to it.
    public var bufferedBodyBytes = 64 * 1024

    /// How much of a streamed body waits for the handler before the client is made to wait.
    public var streamedBodyWindow = 256 * 1024

    /// Parts (a head, a piece of body, an end) of pipelined requests that are kept while one is answered.
    public var maximumPipelinedParts = 4096

    /// When the server stops: how long requests in flight may end by themselves before their tasks are cancelled.
    public var cancellationGrace: Duration = .seconds(1)

    /// When the server stops: after this, connections are closed whatever they do.
    public var shutdownDeadline: Duration = .seconds(8)

    public init() {}
}
