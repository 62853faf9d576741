internal import ClientEncryption
internal import MatrixModel

/// What a sync brought, for those who listen.
struct ClientUpdate: Sendable {
    /// New events of a joined room.
    struct Timeline: Sendable {
        let events: [JSONView]
        /// Where to page back from, if events are missing before these.
        let gap: String?
    }

    var timelines: [RoomID: Timeline] = [:]
    var roomKeys: [SyncOutcome.RoomKey] = []
    var outcome = SyncOutcome()
}
