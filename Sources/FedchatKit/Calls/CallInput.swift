public import MatrixModel

/// What happens to the machine.
public enum CallInput: Sendable {
    /// Our user calls whoever is in a room, or one of them.
    case place(RoomID, invitee: UserID?)
    /// Our user takes a call that rings.
    case accept(CallKey)
    /// Our user does not want a call that rings: it stops on all devices.
    case reject(CallKey)
    /// Our user does not want to hear a call that rings: it goes on elsewhere.
    case ignore(CallKey)
    /// Our user ends the call.
    case hangUp
    /// Our user puts the other side on hold, or takes it back.
    case hold(Bool)
    /// Events of rooms, in order: all that one sync brought. Only after the last of them does anything ring.
    case received([ReceivedCallEvent])
    /// Somebody left a room.
    case left(UserID, RoomID)
    /// The homeserver's ICE servers, and for how long they are good; none if it has none.
    case iceServers([ICEServer], life: Duration?)
    /// The media program says something about a call.
    case media(CallKey, MediaEvent)
    /// An event of ours did not go out.
    case sendFailed(CallKey, CallEvent.Body)
    /// Time has passed.
    case tick
}
