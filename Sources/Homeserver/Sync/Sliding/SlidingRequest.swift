internal import HomeserverStorage
internal import MatrixModel

/// A list of rooms that a client of sliding sync follows.
struct SlidingList: Sendable {
    var name: String
    /// Inclusive, from 0; nil for all.
    var ranges: [ClosedRange<Int>]?
    var filter = SlidingFilter()
    var config = SlidingRoomConfig()
}

/// What else is told.
struct SlidingExtensions: Sendable {
    /// The rooms that an extension is about.
    struct Scope: Sendable {
        /// Names of lists; nil for all.
        var lists: Set<String>?
        /// Subscribed rooms; nil for all.
        var rooms: Set<RoomID>?
    }

    struct ToDevice: Sendable {
        /// Where the client stands in the stream `to_device`.
        var since: Int64?
        var limit: Int
    }

    struct Sticky: Sendable {
        /// Where the client stands in the stream `events`.
        var since: Int64
        var limit: Int
    }

    /// MSC4308: how many changes at most.
    var threads: Int?
    /// MSC4354
    var sticky: Sticky?
    /// MSC3885
    var toDevice: ToDevice?
    /// MSC3884
    var encryption = false
    /// MSC3959
    var accountData: Scope?
    /// MSC3960
    var receipts: Scope?
    /// MSC3961
    var typing: Scope?
}

/// What a client asks of sliding sync, in whichever shape it came.
struct SlidingRequest: Sendable {
    var shape: SlidingShape
    var name: SlidingConnectionStore.Name
    /// Where the client stands; nil for a first request.
    var position: SlidingPosition?
    var lists: [SlidingList] = []
    var subscriptions: [RoomID: SlidingRoomConfig] = [:]
    var extensions = SlidingExtensions()
    /// How long to wait for news, in milliseconds.
    var timeout: Int64 = 0
    /// The presence that the client asks to have.
    var presence = "online"

    var user: UserID { name.user }
    var device: DeviceID? { name.device }
}
