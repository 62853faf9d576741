internal import Cryptography
internal import MatrixModel
internal import Ratchet
public import SQLDatabase

/// Room keys in files under a passphrase.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#key-exports>
extension EncryptionMachine {
    /// All room keys as JSON, a list of sessions, and how many.
    public func exportedRoomKeys(in connection: any SQLConnection) throws -> (json: [UInt8], count: Int) {
        var keys: [JSONValue] = []
        for row in try connection.query("SELECT room_id, session_id FROM inbound_group_sessions") {
            let room = try RoomID(try row.text(0))
            guard let inbound = try inboundRow(room, try row.text(1), in: connection) else { continue }
            var exported = try exported(inbound, of: room)
            exported["forwarding_curve25519_key_chain"] = []
            keys.append(exported)
        }
        return (JSONValue.array(keys).serialized(), keys.count)
    }

    /// Takes in what `KeyExport.open` gave. Throws `malformed` unless it is a list.
    /// - Returns: how many sessions the file holds, and those of which more can be read than before.
    public func importRoomKeys(
        file: [UInt8], in connection: any SQLConnection
    ) throws -> (count: Int, roomKeys: [SyncOutcome.RoomKey]) {
        guard let keys = (try? JSONDocument(file))?.root.array else { throw EncryptionError.malformed(path: "keys") }
        return (keys.count, try importRoomKeys(keys, from: .keyFile, in: connection))
    }
}
