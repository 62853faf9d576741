public import HTTPMessages

/// Sends mail by SMTP, on the thread of a client of HTTP.
public struct CurlMailSender: MailSender {
    /// The largest message, in bytes.
    public static let maximumBytes = 8 << 20

    private let client: CurlClient
    private let server: SMTPServer

    /// Sends through a client's thread to a mail server.
    public init(_ client: CurlClient, _ server: SMTPServer) {
        self.client = client
        self.server = server
    }

    public func send(_ mail: OutgoingMail) async throws(MailError) {
        guard mail.content.count <= Self.maximumBytes else { throw .failed("the mail is too large") }
        try await deliver(MailDelivery(mail: mail, server: server))
    }

    /// Connects, says hello, secures the connection and logs in, without sending anything.
    public func check(timeout: Duration) async throws(MailError) {
        let mail = OutgoingMail(sender: "", recipient: "", content: [], timeout: timeout)
        try await deliver(MailDelivery(mail: mail, server: server, isCheck: true))
    }

    private func deliver(_ delivery: MailDelivery) async throws(MailError) {
        let status: Int
        do { status = try await client.deliver(delivery) } catch { throw .failed("\(error)") }
        switch status {
        case 200..<400: return
        case 500..<600: throw .refused(status)
        default: throw .failed("the mail server answered \(status)")
        }
    }
}
