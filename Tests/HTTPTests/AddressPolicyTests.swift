import HTTPClientCurl
import Testing

@Suite("Addresses that may be connected to") struct AddressPolicyTests {
    @Test(arguments: [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::",
        "3fff::1",
        "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1", "5f00::1", "fe80::1%lo", "", "localhost", "1.2.3",
        "127.1",
    ])
    func `what is not of the public internet is refused`(address: String) {
        #expect(!AddressPolicy.isPublic(address))
    }

    @Test(arguments: [
        "1.1.1.1", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "128.0.0.1", "169.253.1.1",
        "172.15.0.1",
        "172.32.0.1", "192.167.1.1", "198.17.1.1", "198.20.0.1", "223.255.255.255", "2001:4860::1", "2606:4700::1111",
        "2a00::1", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1",
    ])
    func `what is of the public internet is allowed`(address: String) {
        #expect(AddressPolicy.isPublic(address))
    }

    @Test func `bytes of another count are no address`() {
        for count in [0, 1, 3, 5, 15, 17] { #expect(!AddressPolicy.isPublic([UInt8](repeating: 32, count: count))) }
    }
}
