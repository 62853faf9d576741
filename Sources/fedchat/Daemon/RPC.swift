import MatrixModel

/// JSON-RPC 2.0, one message a line, between a command and the process that owns the keys.
enum RPC {
    /// Both ends must have the same: a command ends a background process of another version and starts its own.
    static let version: Int64 = 4
    /// Bytes of a line.
    static let maximumLine = 4 << 20
    /// Commands connected at once.
    static let maximumConnections = 256
    /// Commands to a call that have not been taken in.
    static let waitingCommands = 1_024

    static func request(_ id: Int64, _ method: String, _ params: JSONValue) -> [UInt8] {
        line(["jsonrpc": "2.0", "id": .integer(id), "method": .string(method), "params": params])
    }

    /// What needs no answer, in either direction.
    static func notification(_ method: String, _ params: JSONValue) -> [UInt8] {
        line(["jsonrpc": "2.0", "method": .string(method), "params": params])
    }

    static func result(_ id: Int64, _ result: JSONValue) -> [UInt8] {
        line(["jsonrpc": "2.0", "id": .integer(id), "result": result])
    }

    static func failure(_ id: Int64, _ failure: Failure) -> [UInt8] {
        line([
            "jsonrpc": "2.0", "id": .integer(id),
            "error": [
                "code": .integer(-32000 - Int64(failure.status)), "message": .string(failure.message),
                "data": ["exit": .integer(Int64(failure.status))],
            ],
        ])
    }

    private static func line(_ value: JSONValue) -> [UInt8] { value.serialized() + [0x0A] }
}
