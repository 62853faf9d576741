internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// Whether what a client was told of a room by its syncs is what its server has.
struct SyncAgreement: Sendable {
    let told: ToldRoom
    let view: ServerView
    /// Events that no server may show, and why.
    let forbidden: [EventID: String]
    /// Events of which a whole copy may have come after one that was not.
    var mended: Set<EventID> = []
    /// Whose words may not be shown; nil where there are none.
    var records: Records?

    /// What they differ in, in words.
    func differences() -> [String] { lost() + withheld() + contentDifferences() + stateDifferences() }

    private var user: UserID { told.user }

    /// All that came behind the beginning must have been told. Not what was fetched into gaps of the server's own: it may have
    /// come after the client went by.
    private func lost() -> [String] {
        let start = told.beginning.flatMap { view.events[$0]?.position } ?? .min
        return view.shown.values.sorted { $0.id < $1.id }.compactMap { event in
            guard let position = event.position, position > start, position > 0,
                position % StreamPositions.eventStep == 0, !told.events.contains(event.id)
            else { return nil }
            return "\(view.server) never told \(user) of \(event.id) (\(event.pdu.type)), which it shows"
        }
    }

    /// What was told must be what the server shows.
    private func withheld() -> [String] {
        told.events.sorted().compactMap { id in
            if let why = forbidden[id] { return "\(view.server) told \(user) of \(id): \(why)" }
            guard let event = view.events[id] else {
                return "\(view.server) told \(user) of \(id), and does not have it"
            }
            if event.flags.contains(.rejected) { return "\(view.server) told \(user) of \(id), which it rejected" }
            if event.flags.contains(.softFailed) { return "\(view.server) told \(user) of \(id), which it soft-failed" }
            return event.position == nil ? "\(view.server) told \(user) of \(id), which has no place" : nil
        }
    }

    /// What was told of an event must be what the server has of it, but for what a redaction took since.
    private func contentDifferences() -> [String] {
        told.texts.sorted { $0.key < $1.key }.compactMap { id, texts in
            guard let event = view.events[id] else { return nil }
            let faults = texts.compactMap {
                ToldContent.fault(in: $0, of: event, isMended: mended.contains(id), records)
            }
            return faults.min().map { "\(view.server) told \(user) of \(id) (\(event.pdu.type)): \($0)" }
        }
    }

    /// The state that was told must be the current one. That a key is no longer set cannot be told.
    private func stateDifferences() -> [String] {
        view.state.sorted { $0.key.description < $1.key.description }.compactMap { key, current in
            let known = told.state[key]
            if known == current { return nil }
            let name = known.map(\.text) ?? "nothing"
            return "\(view.server) told \(user) of \(name) for \(key), and has \(current)"
        }
    }
}
