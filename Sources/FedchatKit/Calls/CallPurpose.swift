public import MatrixModel

/// What a ``CallSession`` is for.
public enum CallPurpose: Sendable {
    /// To call whoever is in a room, or one of them.
    case place(RoomID, invitee: UserID?)
    /// To wait for a call, in one room or in all, and do this with the first.
    case answer(RoomID?, Manner)

    /// What becomes of a call that rings.
    public enum Manner: String, Sendable {
        /// It is taken.
        case accept
        /// The user says.
        case ask
        /// It is rejected.
        case reject
    }

    var room: RoomID? {
        switch self {
        case .place(let room, _): room
        case .answer(let room, _): room
        }
    }
}
