internal import MatrixModel

/// A verification under way, as far as it must be known outside of its session: to tell its messages from those of none,
/// and to cancel it if the process ends.
struct OpenVerification: Sendable, Equatable {
    /// The id that its messages name.
    let transaction: String
    /// The room that they go through; nil where they go to devices.
    let room: RoomID?
    /// The other side.
    let user: UserID
    /// The devices asked, or the one that takes part.
    var devices: [DeviceID]
    /// Whether we asked.
    let isOurs: Bool
    /// Whether it is settled with which device.
    var isMet: Bool
    /// Milliseconds since 1970.
    let startedAt: Int64

    init(
        transaction: String, room: RoomID?, user: UserID, devices: [DeviceID], isOurs: Bool, isMet: Bool,
        startedAt: Int64
    ) {
        self.transaction = transaction
        self.room = room
        self.user = user
        self.devices = devices
        self.isOurs = isOurs
        self.isMet = isMet
        self.startedAt = startedAt
    }

    /// As it is in the store; nil for what is none.
    init?(_ value: JSONValue) {
        guard let transaction = value["transaction"]?.string, let user = value["user_id"]?.string,
            let user = try? UserID(user), let startedAt = value["started_at"]?.integer
        else { return nil }
        self.init(
            transaction: transaction, room: value["room_id"]?.string.flatMap { try? RoomID($0) }, user: user,
            devices: value["devices"]?.elements.compactMap { $0.string.flatMap { try? DeviceID($0) } } ?? [],
            isOurs: value["ours"]?.bool ?? false, isMet: value["met"]?.bool ?? false, startedAt: startedAt)
    }

    var json: JSONValue {
        .fields([
            "transaction": .string(transaction), "room_id": room.map { .string($0.text) },
            "user_id": .string(user.text), "devices": .array(devices.map { .string($0.text) }),
            "ours": .bool(isOurs), "met": .bool(isMet), "started_at": .integer(startedAt),
        ])
    }
}
