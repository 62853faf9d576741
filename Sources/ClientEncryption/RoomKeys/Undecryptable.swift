/// Why an event cannot be read, for programs and for people, and what would heal it.
public struct Undecryptable: Error, Sendable, Hashable {
    /// The cause: its raw value is what programs see.
    public enum Cause: String, Sendable, Hashable, CaseIterable {
        /// The key has not come. It may still.
        case noRoomKey = "no_room_key"
        /// The sender, or who shared the history, said that we do not get the key; `code` says why.
        case withheld
        /// It was sent before this device existed.
        case historical
        /// It was sent while we were not in the room.
        case notMember = "not_member"
        /// The key that we have begins after this message.
        case unknownIndex = "unknown_index"
        /// The key was lost with an Olm session that has been replaced.
        case sessionReplaced = "session_replaced"
        /// The device that sent it is not one that its owner's server shows.
        case senderDeviceUnknown = "sender_device_unknown"
        /// This message has been read as another event.
        case replayed
        /// It is not signed by who made the session, or was altered.
        case badSignature = "bad_signature"
        /// The session belongs to somebody else than the event's sender, or to another room.
        case wrongSender = "wrong_sender"
        /// It is not what the specification says.
        case malformed
        /// An algorithm that is not ours; `code` names it.
        case unsupportedAlgorithm = "unsupported_algorithm"
    }

    /// What would heal it.
    public enum Remedy: String, Sendable, Hashable {
        /// Nothing need be done: the key may come by itself.
        case wait
        /// Our other devices have been asked for the key.
        case otherDevicesAsked = "other_devices_asked"
        /// One of our other devices may have it: verify this one, then it is asked.
        case verifyThisDevice = "verify_this_device"
        /// The backup may have it: this device needs the backup's key.
        case openBackup = "open_backup"
        /// The backup is asked.
        case backupAsked = "backup_asked"
        /// A new session has been agreed upon; the sender can send it again.
        case askSender = "ask_sender"
    }

    public let cause: Cause
    /// The withheld code or the algorithm.
    public let code: String?
    /// What the one who withholds says, where the code is not known.
    public let reason: String?
    /// The Megolm session, where the event names one.
    public let session: String?
    /// The best first; empty where nothing can heal it.
    public let remedies: [Remedy]
    /// What our other devices answered when they were asked for the key, a withheld code: it says nothing of the sender.
    public var ownAnswer: String?

    /// Whether the key may still come.
    public var canCome: Bool {
        switch cause {
        case .noRoomKey, .sessionReplaced, .senderDeviceUnknown, .historical, .unknownIndex, .notMember: true
        case .withheld: !remedies.isEmpty
        case .replayed, .badSignature, .wrongSender, .malformed, .unsupportedAlgorithm: false
        }
    }

    /// For a person: what has happened.
    public var explanation: String {
        switch cause {
        case .noRoomKey: "the sender's device has not sent the key to this device, or it is still on its way"
        case .withheld: withheldExplanation
        case .historical: "it was sent before this device existed"
        case .notMember: "it was sent while you were not in the room"
        case .unknownIndex: "it was sent before the point from which this device was given the key"
        case .sessionReplaced:
            "the key came over a channel that this device could not read any more; the channel has been replaced since"
        case .senderDeviceUnknown: "it comes from a device that its owner's server does not show"
        case .replayed: "the same message was delivered before as another event: somebody repeats it"
        case .badSignature: "it was altered on the way, or is not from who it says"
        case .wrongSender: "its key belongs to somebody else than its sender, or to another room"
        case .malformed: "it is not a well-formed encrypted message"
        case .unsupportedAlgorithm: "it is encrypted by an algorithm that this client does not know"
        }
    }

    private var withheldExplanation: String {
        switch code.flatMap(WithheldCode.init) {
        case .blacklisted: "the sender has blocked this device"
        case .unverified: "the sender gives keys only to devices that their owner has verified, and this one is not"
        case .unauthorised: "the sender's device says that this device may not have the key"
        case .unavailable: "the device that was asked does not have the key either"
        case .noOlm:
            "the sender's device could make no secure channel to this device"
                + (reason.flatMap { $0 == WithheldCode.noOlm.reason ? nil : ": \($0)" } ?? "")
        case .historyNotShared: "its sender did not allow the key to be given to those who join later"
        case nil: "the sender withholds the key" + (reason.map { ": \($0)" } ?? "")
        }
    }
}
