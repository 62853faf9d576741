import Foundation

/// A server to be measured, as the file of servers describes it.
struct Server: Sendable {
    let target: Target
    /// Its process, to measure memory and CPU.
    var pid: Int32?
    /// Its database or data folder, to measure disk.
    let data: String?
    /// A command that prints the bytes of its database, where that is no file.
    let size: String?
    /// A command that starts it; ended at the end. Measures the cold start.
    let start: String?
    /// Another server that federates with it, of the same kind.
    let peer: Target?
    /// The other server's process.
    let peerPID: Int32?

    private struct Description: Decodable {
        struct Peer: Decodable {
            let url: String
            let secret: String?
            let pid: Int32?
        }

        let name: String
        let url: String
        let secret: String
        let pid: Int32?
        let data: String?
        let size: String?
        let start: String?
        let peer: Peer?
    }

    private init(_ description: Description) throws {
        target = try Target(name: description.name, url: description.url, secret: description.secret)
        pid = description.pid
        data = description.data
        size = description.size
        start = description.start
        peer = try description.peer.map {
            try Target(name: description.name + "'s peer", url: $0.url, secret: $0.secret ?? description.secret)
        }
        peerPID = description.peer?.pid
    }

    /// Reads the file of servers.
    static func all(inFile path: String) throws -> [Server] {
        let bytes = try Data(contentsOf: URL(filePath: path))
        return try JSONDecoder().decode([Description].self, from: bytes).map { try Server($0) }
    }

    /// What its database takes on disk, bytes; nil where it is not told how to find out.
    func diskBytes() throws -> Int? {
        if let size { return try Machine.number(printedBy: size) }
        return try data.map { try Machine.bytes(at: $0) }
    }

    /// CPU time its processes have used, seconds; nil where they are not told.
    func processorSeconds() -> Double? {
        guard let pid, let own = Machine.processorSeconds(pid) else { return nil }
        return own + (peerPID.flatMap { Machine.processorSeconds($0) } ?? 0)
    }
}
