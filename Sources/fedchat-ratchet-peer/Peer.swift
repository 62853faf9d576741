internal import Cryptography
internal import MatrixModel
internal import PostQuantum
internal import Ratchet

/// Everything that requests have made, by the names they chose, and the table of operations.
struct Peer {
    typealias Reply = [String: JSONValue]
    typealias Operation = @Sendable (inout Peer, PeerRequest) throws -> Reply

    let random = SystemRandomSource()
    var accounts: [String: OlmAccount] = [:]
    var sessions: [String: OlmSession] = [:]
    var outbound: [String: OutboundGroupSession] = [:]
    var inbound: [String: InboundGroupSession] = [:]
    var verifications: [String: SAS] = [:]
    var established: [String: EstablishedSAS] = [:]
    var backups: [String: BackupKey] = [:]
    var encapsulationKeys: [String: EncapsulationKeys] = [:]
    var hybridSessions: [String: HybridSession] = [:]

    static let operations: [String: Operation] = {
        var operations = accountOperations
        for more in [
            sessionOperations, groupOperations, inboundGroupOperations, sasOperations, storageOperations,
            migrationOperations, hybridOperations,
        ] {
            operations.merge(more) { first, _ in first }
        }
        operations["drop"] = { peer, request in peer.drop(request) }
        return operations
    }()

    /// The reply to one line, itself one line.
    mutating func answer(_ line: String) -> String {
        var reply: Reply
        var id: JSONValue?
        do {
            let document = try JSONDocument(Array(line.utf8))
            let request = PeerRequest(fields: JSONValue(document.root))
            id = request.fields["id"]
            reply = try perform(request)
            reply["ok"] = .bool(true)
        } catch let error as PeerError {
            reply = ["ok": .bool(false), "kind": .string(error.kind), "error": .string(error.message)]
        } catch {
            reply = ["ok": .bool(false), "kind": .string("\(type(of: error))"), "error": .string("\(error)")]
        }
        if let id { reply["id"] = id }
        return String(decoding: JSONValue.object(reply).serialized(), as: UTF8.self)
    }

    private mutating func perform(_ request: PeerRequest) throws -> Reply {
        let name = try request.text("op")
        if name == "hello" {
            let names = (Self.operations.keys + ["hello"]).sorted()
            return ["backend": "fedchat", "protocol": 1, "ops": .array(names.map { .string($0) })]
        }
        guard let operation = Self.operations[name] else {
            throw PeerError(kind: "unsupported", message: "no operation \(name)")
        }
        return try operation(&self, request)
    }

    private mutating func drop(_ request: PeerRequest) -> Reply {
        func name(_ field: String) -> String? { request.fields[field]?.string }
        if let name = name("a") { accounts[name] = nil }
        if let name = name("s") { (sessions[name], hybridSessions[name]) = (nil, nil) }
        if let name = name("h") { encapsulationKeys[name] = nil }
        if let name = name("g") { outbound[name] = nil }
        if let name = name("i") { inbound[name] = nil }
        if let name = name("x") { (verifications[name], established[name]) = (nil, nil) }
        if let name = name("p") { backups[name] = nil }
        return [:]
    }
}

/// Changes the value called by the request's `field`; a throwing `body` leaves it as it was.
func changing<Value, R>(
    _ values: inout [String: Value], _ request: PeerRequest, _ field: String, _ body: (inout Value) throws -> R
) throws -> R {
    let name = try request.text(field)
    guard var value = values[name] else { throw PeerError.bad("no \(field) called \(name)") }
    let result = try body(&value)
    values[name] = value
    return result
}
