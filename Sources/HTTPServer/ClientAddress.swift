internal import HTTPTypes
internal import NIOCore

/// Who the client is: what the socket tells, or what a trusted proxy adds.
struct ClientAddress {
    /// The IP address, without port, brackets or zone; IPv4 in its own form also on a socket for both families.
    let text: String
    let isSecure: Bool

    init(socket address: SocketAddress?, isTLS: Bool) {
        text = address?.ipAddress.map(Self.plain) ?? ""
        isSecure = isTLS
    }

    private init(text: String, isSecure: Bool) {
        self.text = text
        self.isSecure = isSecure
    }

    /// What the nearest proxy tells: the last element, for those before it came from the client.
    func forwarded(by fields: HTTPFields) -> ClientAddress {
        let address = Self.lastElement(of: Self.forwardedFor, in: fields).flatMap(Self.address)
        let scheme = Self.lastElement(of: Self.forwardedProto, in: fields)
        return ClientAddress(
            text: address ?? text, isSecure: scheme.map { $0.lowercased() == "https" } ?? isSecure)
    }

    private static let forwardedFor = HTTPField.Name("X-Forwarded-For")
    private static let forwardedProto = HTTPField.Name("X-Forwarded-Proto")

    private static func lastElement(of name: HTTPField.Name?, in fields: HTTPFields) -> Substring? {
        guard let name, let value = fields[values: name].last else { return nil }
        var element = Substring(value)
        if let comma = element.lastIndex(of: ",") { element = element[element.index(after: comma)...] }
        while element.first == " " || element.first == "\t" { element.removeFirst() }
        while element.last == " " || element.last == "\t" { element.removeLast() }
        return element
    }

    /// Reads `1.2.3.4`, `1.2.3.4:5`, `2001:db8::1` and `[2001:db8::1]:5`.
    private static func address(_ element: Substring) -> String? {
        var element = element
        if element.first == "[", let bracket = element.firstIndex(of: "]") {
            element = element[element.index(after: element.startIndex)..<bracket]
        } else if let colon = element.firstIndex(of: ":"), element.lastIndex(of: ":") == colon {
            element = element[..<colon]
        }
        guard let address = try? SocketAddress(ipAddress: String(element), port: 0) else { return nil }
        return address.ipAddress.map(plain)
    }

    private static func plain(_ address: String) -> String {
        var address = Substring(address)
        if let zone = address.firstIndex(of: "%") { address = address[..<zone] }
        if address.hasPrefix("::ffff:"), address.contains(".") { address = address.dropFirst("::ffff:".count) }
        return String(address)
    }
}
