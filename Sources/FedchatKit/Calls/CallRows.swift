internal import MatrixModel
internal import SQLDatabase

/// Ids of calls that were dealt with, sealed as all values are, the newest last. An old invite that a homeserver brings
/// again, as if it were new, does not ring.
extension ClientStore {
    func knownCalls(in connection: any SQLConnection) throws -> [CallKey] {
        (try value("calls", in: connection)?["over"]?.elements ?? []).compactMap { each in
            guard let room = each["room_id"]?.string.flatMap({ try? RoomID($0) }),
                let call = each["call_id"]?.string.flatMap({ try? CallID($0) })
            else { return nil }
            return CallKey(room: room, call: call)
        }
    }

    func remember(_ key: CallKey, in connection: any SQLConnection) throws {
        let known = try knownCalls(in: connection)
        guard !known.contains(key) else { return }
        let kept = (known + [key]).suffix(ClientLimits.rememberedCalls)
        let list = kept.map { JSONValue.object(["room_id": .string($0.room.text), "call_id": .string($0.call.text)]) }
        try setValue(["over": .array(list)], "calls", in: connection)
    }
}
