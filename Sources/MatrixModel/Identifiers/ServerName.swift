/// A homeserver: a DNS name or an IP address literal, perhaps with a port. Case matters.
/// Spec: <https://spec.matrix.org/v1.19/appendices/#server-name>
public struct ServerName: MatrixIdentifier {
    public let text: String
    /// The name or address without the port; an IPv6 address with its brackets.
    public let host: String
    /// The port if one is written, up to five digits, so perhaps more than 65,535.
    public let port: Int?
    /// Whether the host is an IPv4 address, or an IPv6 address in brackets.
    public let isIPLiteral: Bool

    public init(_ text: String) throws(InvalidIdentifier) {
        let rule = "a server name"
        var host = Substring(text)
        var port: Int?
        if let colon = host.utf8.lastIndex(of: 0x3A), host.utf8.last != 0x5D {
            let digits = host.utf8[host.utf8.index(after: colon)...]
            guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw InvalidIdentifier(text: text, rule: rule)
            }
            port = Int(Substring(digits))
            host = host[..<colon]
        }
        let bytes = host.utf8
        if bytes.first == 0x5B {
            guard bytes.last == 0x5D, bytes.count <= 47, IPAddressText.isIPv6(Array(bytes.dropFirst().dropLast()))
            else {
                throw InvalidIdentifier(text: text, rule: rule)
            }
            isIPLiteral = true
        } else {
            guard (1...255).contains(bytes.count), bytes.allSatisfy(Self.isNameByte) else {
                throw InvalidIdentifier(text: text, rule: rule)
            }
            isIPLiteral = IPAddressText.isIPv4(Array(bytes))
        }
        self.text = text
        self.host = port == nil ? text : String(host)
        self.port = port
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E: true
        default: false
        }
    }
}

/// Addresses as text, as far as a grammar needs them.
enum IPAddressText {
    /// Four decimal numbers from 0 to 255.
    static func isIPv4(_ bytes: [UInt8]) -> Bool {
        guard bytes.count <= 15 else { return false }
        let parts = bytes.split(separator: 0x2E, omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.count) && part.allSatisfy { (0x30...0x39).contains($0) }
                    && part.reduce(0) { $0 * 10 + Int($1) - 0x30 } <= 255
            }
    }

    /// Eight groups of hexadecimal digits, of which `::` stands for one or more that are zero, and an IPv4 address may
    /// stand for the last two. RFC 3513, section 2.2.
    static func isIPv6(_ bytes: [UInt8]) -> Bool {
        guard (2...45).contains(bytes.count) else { return false }
        var groups = bytes.split(separator: 0x3A, omittingEmptySubsequences: false).map(Array.init)
        if let last = groups.last, last.contains(0x2E) {
            guard isIPv4(last) else { return false }
            groups.removeLast()
            groups.append(contentsOf: [[0x30], [0x30]])
        }
        // A leading or trailing "::" leaves two empty groups; make it one.
        if groups.count >= 2, groups[0].isEmpty {
            guard groups[1].isEmpty else { return false }
            groups.removeFirst()
        }
        if groups.count >= 2, groups[groups.count - 1].isEmpty {
            guard groups[groups.count - 2].isEmpty else { return false }
            groups.removeLast()
        }
        let gaps = groups.filter(\.isEmpty).count
        guard gaps <= 1, groups.allSatisfy({ $0.count <= 4 && $0.allSatisfy(isHexadecimal) }) else { return false }
        return gaps == 1 ? groups.count <= 8 : groups.count == 8
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }
}
