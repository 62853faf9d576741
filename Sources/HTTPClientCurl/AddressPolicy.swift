#if canImport(Glibc)
    private import Glibc
#elseif canImport(Musl)
    private import Musl
#endif

/// Which addresses a server may connect to when others name them: only those of the public internet. Anything else
/// would let a stranger reach the machine itself or its neighbors through us.
public enum AddressPolicy {
    /// Whether an IP address, as bytes in network order, is public. Neither 4 nor 16 bytes are no address.
    public static func isPublic(_ address: [UInt8]) -> Bool {
        switch address.count {
        case 4: isPublicIPv4(address[...])
        case 16: isPublicIPv6(address)
        default: false
        }
    }

    /// The same for text, as `192.0.2.1` or `2001:db8::1`; a zone (`%eth0`) makes an address not public.
    public static func isPublic(_ text: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 { return isPublic(Array(bytes.prefix(4))) }
        if inet_pton(AF_INET6, text, &bytes) == 1 { return isPublic(bytes) }
        return false
    }

    /// What IANA's registry of special addresses calls not global, multicast and what is reserved.
    private static let specialIPv4: [(base: UInt32, bits: UInt32)] = [
        (0x0000_0000, 8),  // this host
        (0x0A00_0000, 8),  // private
        (0x6440_0000, 10),  // carrier-grade NAT
        (0x7F00_0000, 8),  // loopback
        (0xA9FE_0000, 16),  // link-local, with the clouds' metadata
        (0xAC10_0000, 12),  // private
        (0xC000_0000, 24),  // protocol assignments
        (0xC000_0200, 24),  // documentation
        (0xC058_6300, 24),  // 6to4 relays
        (0xC0A8_0000, 16),  // private
        (0xC612_0000, 15),  // benchmarks
        (0xC633_6400, 24),  // documentation
        (0xCB00_7100, 24),  // documentation
        (0xE000_0000, 4),  // multicast
        (0xF000_0000, 4),  // reserved, broadcast
    ]

    private static func isPublicIPv4(_ bytes: ArraySlice<UInt8>) -> Bool {
        let address = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return !specialIPv4.contains { address >> (32 - $0.bits) == $0.base >> (32 - $0.bits) }
    }

    private static func isPublicIPv6(_ bytes: [UInt8]) -> Bool {
        func starts(with prefix: [UInt8]) -> Bool { bytes.starts(with: prefix) }
        let zeros = [UInt8](repeating: 0, count: 10)
        // IPv4 in another coat: mapped, NAT64, 6to4.
        if starts(with: zeros + [0xFF, 0xFF]) { return isPublicIPv4(bytes[12...]) }
        if starts(with: [0x00, 0x64, 0xFF, 0x9B] + zeros.prefix(8)) { return isPublicIPv4(bytes[12...]) }
        if starts(with: [0x20, 0x02]) { return isPublicIPv4(bytes[2..<6]) }
        // Global unicast is 2000::/3; all else is local, multicast or not given out.
        guard bytes[0] & 0xE0 == 0x20 else { return false }
        // 2001::/23 holds Teredo and protocol assignments; 2001:db8::/32 and 3fff::/20 are documentation.
        if starts(with: [0x20, 0x01]) && bytes[2] & 0xFE == 0 { return false }
        if starts(with: [0x20, 0x01, 0x0D, 0xB8]) { return false }
        return !(starts(with: [0x3F, 0xFF]) && bytes[2] & 0xF0 == 0)
    }
}
