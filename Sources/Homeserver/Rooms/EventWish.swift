internal import MatrixModel

/// An event that somebody wants to be sent: at once, or later.
struct EventWish: Sendable {
    var room: RoomID
    var type: EventType
    var sender: UserID
    /// Nil for an event that is no state.
    var stateKey: String?
    var content: JSONValue
    /// For how long it is sticky, milliseconds.
    var sticky: Int64?
}
