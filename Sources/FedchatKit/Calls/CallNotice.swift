/// What the user is told of beside the call's course: mostly that something was not believed.
public enum CallNotice: String, Sendable, Hashable {
    /// A call's event was not encrypted: ignored.
    case unencrypted
    /// An event was not as the specification has it: ignored.
    case malformed
    /// An event came from somebody who has no part in the call: ignored.
    case otherParty = "other_party"
    /// An event came from another device than the party's: ignored.
    case otherDevice = "other_device"
    /// An invite or an offer came when it was not valid any more: ignored.
    case expired
    /// The sender says that an event is much older than the homeserver does.
    case delayed
    /// A call that had been dealt with came again: ignored.
    case replayed
    /// An event did not fit the state of its call: ignored.
    case unexpected
    /// More calls, candidates or events than there may be: the rest is ignored.
    case tooMany = "too_many"
    /// The caller did not confirm that it took our answer and no other's.
    case unconfirmed
    /// A change to the call (hold, other media) did not come about.
    case negotiationFailed = "negotiation_failed"
    /// What one side wants, the other side's client cannot do.
    case unsupported
    /// An event of ours did not go out.
    case sendFailed = "send_failed"
    /// An event of the room could not be decrypted, or was altered.
    case unreadable
    /// The key of an event was handed on by somebody who could have made the event: ignored.
    case keyHandedOn = "key_handed_on"
    /// An invite in a room that anybody may join: it does not ring.
    case publicRoom = "public_room"
    /// There is another call already.
    case busy
    /// The homeserver gave no ICE servers.
    case noICEServers = "no_ice_servers"
}
