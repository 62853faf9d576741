public import MatrixModel

/// Which call: ids of calls are unique in their room only.
public struct CallKey: Sendable, Hashable {
    public let room: RoomID
    public let call: CallID

    /// A call of a room.
    public init(room: RoomID, call: CallID) {
        self.room = room
        self.call = call
    }
}
