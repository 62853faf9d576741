import Federation
import Foundation
import Glibc
import Synchronization
import Testing

@Suite("SRV records of the system") struct SystemSRVRecordsTests {
    private static let program = ["/usr/sbin/dnsmasq", "/usr/bin/dnsmasq"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// A name server on a loopback port, until it is stopped.
    private func nameServer(_ port: Int, _ records: [String]) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.program ?? "")
        process.arguments =
            [
                "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1",
                "--bind-interfaces", "--port=\(port)", "--local=/test/", "--pid-file=", "--local-ttl=60", "--user=",
            ] + records.map { "--srv-host=\($0)" }
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        return process
    }

    @Test(.enabled(if: program != nil, "dnsmasq is not installed"))
    func `records come from a name server, and are asked for once`() async throws {
        let port = Int.random(in: 20_000..<30_000)
        let process = try nameServer(
            port, ["_matrix-fed._tcp.a.test,m.a.test,8443,10,5", "_matrix-fed._tcp.a.test,n.a.test,8444,20,0"])
        defer { kill(process.processIdentifier, SIGKILL) }
        let time = Mutex(Duration.zero)
        let resolver = SystemSRVRecords(nameserver: ("127.0.0.1", UInt16(port)), now: { time.withLock { $0 } })
        // It takes a moment to listen; a failure is forgotten when its time is up.
        var found: [SRVRecord] = []
        for _ in 0..<50 where found.isEmpty {
            found = await resolver.records(of: "_matrix-fed._tcp.a.test")
            time.withLock { $0 += .seconds(31) }
            if found.isEmpty { try await ContinuousClock().sleep(for: .milliseconds(20)) }
        }
        #expect(found.map(\.target).sorted() == ["m.a.test", "n.a.test"])
        #expect(found.first { $0.port == 8443 }.map { [$0.priority, $0.weight] } == [10, 5])
        #expect(await resolver.records(of: "_matrix-fed._tcp.none.test").isEmpty)

        kill(process.processIdentifier, SIGKILL)
        time.withLock { $0 -= .seconds(31) }
        #expect(await resolver.records(of: "_matrix-fed._tcp.a.test") == found)
    }
}
