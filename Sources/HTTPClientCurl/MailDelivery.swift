internal import CCurl
internal import HTTPMessages

#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// A mail on its way to a mail server.
struct MailDelivery: Sendable {
    var mail: OutgoingMail
    var server: SMTPServer
    /// Whether only the connection is tried.
    var isCheck = false

    /// The server's URL, with the name we say hello with.
    /// - Throws: ``HTTPClientError/other(_:)`` if a part could change the meaning of another.
    func url() throws(HTTPClientError) -> String {
        let scheme = server.security == .tls ? "smtps" : "smtp"
        // Written as a request's, and checked so.
        let checked = ClientRequest(scheme: "https", host: server.host, port: server.port, pathAndQuery: "/")
        let rest = try RequestURL.write(checked).dropFirst("https".count)
        guard server.ownName.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
            throw .other("own name")
        }
        guard isCheck || (Self.isAddress(mail.sender) && Self.isAddress(mail.recipient)) else {
            throw .other("address")
        }
        return scheme + rest + server.ownName
    }

    /// Whether nothing in a text could end an SMTP command.
    private static func isAddress(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.count <= 320
            && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "<") && $0 != UInt8(ascii: ">") }
    }
}

extension Transfer {
    /// Sets what a mail's handle needs beside what all have.
    func shape(_ delivery: MailDelivery, _ options: inout EasyOptions) {
        let server = delivery.server
        options.set(CURLOPT_PROTOCOLS_STR, "smtp,smtps")
        options.set(CURLOPT_USE_SSL, server.security == .starttls ? Int(CURLUSESSL_ALL.rawValue) : 0)
        if let name = server.username, let password = server.password {
            options.set(CURLOPT_USERNAME, name)
            options.set(CURLOPT_PASSWORD, password)
        }
        guard !delivery.isCheck else {
            // A command that changes nothing.
            options.set(CURLOPT_CUSTOMREQUEST, "NOOP")
            options.set(CURLOPT_NOBODY, 1)
            return
        }
        options.set(CURLOPT_MAIL_FROM, "<\(delivery.mail.sender)>")
        append(CURLOPT_MAIL_RCPT, ["<\(delivery.mail.recipient)>"], &options)
        options.set(CURLOPT_UPLOAD, 1)
        options.setOffset(CURLOPT_INFILESIZE_LARGE, delivery.mail.content.count)
        options.setReader { buffer, size, count, context in
            guard let buffer, let transfer = Transfer.at(context) else { return 0 }
            return transfer.give(UnsafeMutableRawBufferPointer(start: buffer, count: size &* count))
        }
        options.setPointer(CURLOPT_READDATA, Unmanaged.passUnretained(self).toOpaque())
    }

    /// What libcurl's result means for a mail: the server's last code, if it was one that says no.
    func outcome(_ code: CURLcode, of delivery: MailDelivery) -> Result<ClientResponse, HTTPClientError>? {
        let status = easy.map { fedchat_curl_get_long($0, CURLINFO_RESPONSE_CODE) } ?? 0
        if code == CURLE_OK { return .success(ClientResponse(status: 250)) }
        guard code != CURLE_LOGIN_DENIED, status >= 400, code != CURLE_OPERATION_TIMEDOUT else { return nil }
        return .success(ClientResponse(status: status))
    }
}
