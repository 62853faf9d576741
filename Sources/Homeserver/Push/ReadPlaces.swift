internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// How far a user has read a room and its threads, by receipts.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts>
struct ReadPlaces {
    private let user: UserID
    private let room: Int64
    /// By thread; empty for a receipt of no thread, which is for all.
    private var places: [String: Int64] = [:]
    private var known: Set<String> = [""]

    init(of user: UserID, room: Int64, _ connection: any SQLConnection) throws {
        self.user = user
        self.room = room
        places = try ReceiptStore(connection).places(of: user, rooms: [room], threads: [String]())[room] ?? [:]
    }

    /// Whether a receipt says that an event was read.
    /// - Throws: `DatabaseError`.
    mutating func hold(_ event: PDU, at position: Int64, _ connection: any SQLConnection) throws -> Bool {
        if let whole = places[""], position <= whole { return true }
        let relation = event.content["m.relates_to"]
        let root = relation?["rel_type"]?.string == "m.thread" ? relation?["event_id"]?.string : nil
        let thread = root ?? UnreadRecord.main
        if known.insert(thread).inserted {
            let found = try ReceiptStore(connection).places(of: user, rooms: [room], threads: [thread])[room]
            places[thread] = found?[thread]
        }
        return places[thread].map { position <= $0 } ?? false
    }
}
