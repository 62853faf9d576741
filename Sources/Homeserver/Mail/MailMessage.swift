internal import Cryptography

/// A mail with a text and the same as HTML, as RFC 5322 and MIME write it. Nothing in it can end a header field.
struct MailMessage: Sendable {
    /// Name and address.
    var from: (name: String?, address: MailAddress)
    var to: MailAddress
    var subject: String
    var text: String
    var html: String
    /// Milliseconds since 1970.
    var date: Int64
    /// Unique, without angle brackets.
    var id: String
    /// Where the reader ends such mails, with one click.
    var unsubscribe: String?

    /// The bytes; lines end in CR LF.
    func bytes(boundary: String) -> [UInt8] {
        var lines = [
            "From: \(Self.mailbox(from.name, from.address))",
            "To: \(to)",
            "Subject: \(Self.encoded(subject))",
            "Date: \(CalendarTime(milliseconds: date).mailDate)",
            "Message-ID: <\(id)>",
            "Auto-Submitted: auto-generated",
        ]
        if let unsubscribe {
            lines.append("List-Unsubscribe: <\(unsubscribe)>")
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        }
        lines += ["MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=\"\(boundary)\"", ""]
        for (type, body) in [("plain", text), ("html", html)] {
            lines += [
                "--\(boundary)", "Content-Type: text/\(type); charset=utf-8", "Content-Transfer-Encoding: base64", "",
            ]
            lines += Self.base64Lines(Array(body.utf8))
        }
        lines += ["--\(boundary)--", ""]
        return Array(lines.joined(separator: "\r\n").utf8)
    }

    private static func mailbox(_ name: String?, _ address: MailAddress) -> String {
        name.map { "\(encoded($0)) <\(address)>" } ?? address.text
    }

    /// Text for a header field: encoded words (RFC 2047), each of whole characters and at most 75 letters.
    static func encoded(_ text: String) -> String {
        var words: [String] = []
        var part: [UInt8] = []
        for scalar in text.unicodeScalars {
            // What would be shown as nothing, or as a new line.
            let scalar = scalar.value < 0x20 || scalar.value == 0x7F ? " " : scalar
            let bytes = Array(String(scalar).utf8)
            if part.count + bytes.count > 42 {
                words.append("=?utf-8?B?\(Base64.encode(part, .standard))?=")
                part = []
            }
            part += bytes
        }
        if !part.isEmpty || words.isEmpty { words.append("=?utf-8?B?\(Base64.encode(part, .standard))?=") }
        return words.joined(separator: "\r\n ")
    }

    private static func base64Lines(_ bytes: [UInt8]) -> [String] {
        stride(from: 0, to: bytes.count, by: 57).map { start in
            Base64.encode(Array(bytes[start..<min(start + 57, bytes.count)]), .standard)
        }
    }

    /// A stranger's text, without what could pass for something else: one line, no turning of the direction of writing, of at
    /// most so many characters.
    static func plain(_ text: String, atMost count: Int) -> String {
        let turning: Set<UInt32> = [0x200E, 0x200F, 0x061C, 0xFEFF]
        let kept = text.unicodeScalars.prefix(count * 8).map { scalar -> Unicode.Scalar in
            scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || (0x2028...0x2029).contains(scalar.value)
                ? " " : scalar
        }.filter {
            !turning.contains($0.value) && !(0x202A...0x202E).contains($0.value)
                && !(0x2066...0x2069).contains($0.value)
        }
        let whole = String(String.UnicodeScalarView(kept))
        return whole.count > count ? whole.prefix(count - 1) + "…" : whole
    }
}
