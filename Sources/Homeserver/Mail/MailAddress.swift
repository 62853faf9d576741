/// A mail address that is safe to write into a mail and into SMTP: printable ASCII, one `@`, no quoting.
public struct MailAddress: Sendable, Hashable, CustomStringConvertible {
    /// `local@domain`
    public let text: String

    /// nil for what is no such address.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        guard parts.count == 2, let local = parts.first, let domain = parts.last, (1...64).contains(local.count),
            (1...189).contains(domain.count), local.allSatisfy(Self.isLocal), domain.allSatisfy(Self.isDomain),
            local.first != UInt8(ascii: "."), local.last != UInt8(ascii: "."),
            domain.first != UInt8(ascii: "."), domain.first != UInt8(ascii: "-"), domain.last != UInt8(ascii: ".")
        else { return nil }
        self.text = text
    }

    /// What stands before the `@` in `Name <local@domain>`, and the address; or an address alone. nil for anything else.
    public static func mailbox(_ text: String) -> (name: String?, address: MailAddress)? {
        if let address = MailAddress(text) { return (nil, address) }
        guard text.hasSuffix(">"), let start = text.lastIndex(of: "<"),
            let address = MailAddress(String(text[text.index(after: start)...].dropLast()))
        else { return nil }
        let name = text[..<start].filter { $0 != "\"" }
        guard !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return nil }
        let words = name.split(separator: " ").joined(separator: " ")
        return (words.isEmpty ? nil : words, address)
    }

    public var description: String { text }

    private static func isLocal(_ byte: UInt8) -> Bool {
        isDomain(byte) || "!#$%&'*+/=?^_`{|}~".utf8.contains(byte)
    }

    private static func isDomain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}
