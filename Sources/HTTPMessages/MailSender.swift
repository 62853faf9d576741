/// A mail to be sent: the envelope, and the message as RFC 5322 has it.
public struct OutgoingMail: Sendable {
    /// The envelope's addresses, without angle brackets.
    public var sender: String
    public var recipient: String
    /// Header fields and body; lines end in CR LF.
    public var content: [UInt8]
    /// The time for all of it.
    public var timeout: Duration

    public init(sender: String, recipient: String, content: [UInt8], timeout: Duration = .seconds(60)) {
        self.sender = sender
        self.recipient = recipient
        self.content = content
        self.timeout = timeout
    }
}

/// Why a mail was not sent. The texts are for logs.
public enum MailError: Error, Hashable, Sendable {
    /// The mail server will never take it: its code, 500 to 599.
    case refused(Int)
    /// It may take it another time.
    case failed(String)
}

/// What sends mail.
public protocol MailSender: Sendable {
    /// Hands a mail to the mail server.
    func send(_ mail: OutgoingMail) async throws(MailError)
}
