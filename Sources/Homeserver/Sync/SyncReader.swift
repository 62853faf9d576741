internal import HomeserverStorage
internal import Logging
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// What a sync asks for.
struct SyncRequest: Sendable {
    var user: UserID
    var device: DeviceID?
    /// Where the client stands; nil for a first sync.
    var since: SyncToken?
    var fullState = false
    var filter = SyncFilter()
    /// The name under which the state at the end of the timelines is sent; nil for that at their begin.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>, `use_state_after`
    var stateAfterKey: String?
    /// Milliseconds since 1970.
    var now: Int64
}

/// The answer to a sync.
struct SyncAnswer: Sendable {
    /// The JSON object.
    var body: [UInt8]
    var next: SyncToken
    /// Whether it says anything.
    var hasNews: Bool
    /// Whether there are to-device messages that the client has received and that can go.
    var acknowledges: Bool
    /// Whether unread counts in it are not finished, or were not before: the next answer is to know how far they came.
    var isCounting: Bool
}

/// Makes answers to syncs. An answer is a function of two tokens: where the client stands and where the server does.
struct SyncReader: Sendable {
    let environment: Environment
    let rooms: RoomReader
    let texts: EventTexts
    let summaries: RoomSummaries
    let unread: UnreadCounts
    private let acknowledged = BoundedCache<DeviceKey, Int64>(budget: SyncLimits.acknowledgedBytes)

    private struct DeviceKey: Hashable {
        var user: UserID
        var device: DeviceID
    }

    init(environment: Environment, rooms: RoomReader, texts: EventTexts) {
        self.environment = environment
        self.rooms = rooms
        self.texts = texts
        summaries = RoomSummaries(rooms: rooms)
        unread = UnreadCounts(rooms: rooms, summaries: summaries)
    }

    /// The answer as of now.
    /// - Throws: `DatabaseError`, `CorruptState`.
    func answer(_ request: SyncRequest) async throws -> SyncAnswer {
        let answer = try await environment.database.read { connection in
            var assembly = try SyncAssembly(self, request, connection)
            try assembly.addRooms()
            return try assembly.finish()
        }
        if !answer.acknowledges { noteAcknowledged(request) }
        // Whoever answers next, at whatever node, finds how far it came.
        if answer.isCounting { await keepCounts() }
        return answer
    }

    /// Writes unread counts down. If that fails they are counted again some day: no answer depends on it.
    func keepCounts() async {
        do {
            try await unread.flush(environment.database)
        } catch {
            environment.logger.debug("unread counts are not written", metadata: ["cause": "\(error)"])
        }
    }

    /// Whether nothing waits for a device up to a position, as far as this node knows.
    private func isAcknowledged(_ user: UserID, _ device: DeviceID, _ position: Int64) -> Bool {
        position == 0 || acknowledged.value(DeviceKey(user: user, device: device)) == position
    }

    /// Drops what a device has received.
    func acknowledge(_ request: SyncRequest) async throws {
        guard let device = request.device, let since = request.since else { return }
        try await acknowledge(request.user, device, upTo: since.toDevice)
    }

    /// Drops what a device has received up to a position of the stream `to_device`.
    func acknowledge(_ user: UserID, _ device: DeviceID, upTo position: Int64) async throws {
        let sealer = environment.sealer
        try await environment.database.groupedWrite { connection in
            try ToDeviceStore(connection, sealer).acknowledge(user: user, device: device, upTo: position)
        }
        noteAcknowledged(user, device, position)
    }

    /// Whether a device has received something up to a position that can go.
    /// - Throws: `DatabaseError`.
    func acknowledges(
        _ user: UserID, _ device: DeviceID, upTo position: Int64, _ connection: any SQLConnection
    ) throws -> Bool {
        guard !isAcknowledged(user, device, position) else { return false }
        return try !ToDeviceStore(connection, environment.sealer).messages(
            user: user, device: device, after: 0, upTo: position, limit: 1
        ).isEmpty
    }

    private func noteAcknowledged(_ request: SyncRequest) {
        guard let device = request.device, let since = request.since else { return }
        noteAcknowledged(request.user, device, since.toDevice)
    }

    /// Notes that nothing waits for a device up to a position.
    func noteAcknowledged(_ user: UserID, _ device: DeviceID, _ position: Int64) {
        acknowledged.put(DeviceKey(user: user, device: device), position, cost: 256)
    }
}
