import HTTPClientCurl
import HTTPMessages
import Homeserver

extension OutsideChecks {
    /// Whether the mail server answers and lets us in. Nothing is sent.
    func mail() async -> [Finding] {
        guard let server = Wiring.mailServer(loaded) else { return [] }
        do throws(MailError) {
            try await CurlMailSender(client, server).check(timeout: Self.timeout)
            return [.ok(.mail, "the mail server \(server) lets this server in")]
        } catch {
            return [
                .problem(
                    .mail, "the mail server \(server) does not: \(error)",
                    mend: "see that email.smtp_host, smtp_port and tls are right, and username and password_file")
            ]
        }
    }
}
