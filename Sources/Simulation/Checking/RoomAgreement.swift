internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// Whether servers that are in a room have the same newest events and the same state.
struct RoomAgreement: Sendable {
    let views: [ServerView]
    /// Servers of which nobody may speak: they cannot tie together what lies in parallel.
    let mute: Set<ServerName>
    /// Servers that mean harm.
    var hostile: Set<ServerName> = []
    /// Ids that hostile servers gave to two events: one may set state, and the other not.
    var twofold: Set<EventID> = []

    /// What they differ in, in words.
    func differences() -> [String] {
        guard let first = views.first else { return [] }
        var found: [String] = []
        for view in views.dropFirst() {
            let (ends, others) = (newest(first, seenBy: view), newest(view, seenBy: first))
            if ends != others {
                found.append(
                    "\(first.server) and \(view.server) have different extremities: "
                        + "\(ends.subtracting(others).map(\.text).sorted()) "
                        + "\(others.subtracting(ends).map(\.text).sorted())")
            }
            for key in Set(first.state.keys).union(view.state.keys).sorted(by: { $0.description < $1.description })
            where first.state[key] != view.state[key] && !isApart(key, first, view) && !isApart(key, view, first)
                && twofold.isDisjoint(with: [first.state[key], view.state[key]].compactMap(\.self))
            {
                found.append(
                    "\(first.server) and \(view.server) disagree about \(key): "
                        + "\(first.state[key]?.text ?? "nothing"), \(view.state[key]?.text ?? "nothing")")
            }
        }
        return found
    }

    /// A server's extremities as far as another shares them: what that one withheld can only be tied in by who has it, and what
    /// this one withheld of what follows them only by the other. So can what it never got, for it was out of the room, where
    /// whoever got it withheld it: nothing leads to that.
    private func newest(_ view: ServerView, seenBy other: ServerView) -> Set<EventID> {
        guard mute.contains(view.server) else { return view.extremities }
        return view.extremities.filter { id in
            if let event = other.events[id], !event.flags.contains(.outlier) {
                return !event.flags.contains(.softFailed) && !goesOn(other, from: id, unseenBy: view)
            }
            if isApart(id, view, other) { return false }
            return !views.contains { $0.events[id]?.flags.contains(.softFailed) == true }
        }
    }

    /// Whether a server has something behind an event that another withheld, so that this one ends there.
    private func goesOn(_ view: ServerView, from id: EventID, unseenBy other: ServerView) -> Bool {
        view.events.values.contains {
            $0.pdu.prevEvents.contains(id) && other.events[$0.id]?.flags.contains(.softFailed) == true
        }
    }

    /// Whether a hostile server told something to one server alone, of which nobody may speak: nothing leads others to it. "It
    /// is the responsibility of the originating server of a PDU to deliver that event to its recipient servers", and this one
    /// did not: <https://spec.matrix.org/v1.19/server-server-api/>
    private func isApart(_ id: EventID, _ view: ServerView, _ other: ServerView) -> Bool {
        // What another has only as part of an auth chain it never got.
        guard mute.contains(view.server), other.events[id]?.flags.contains(.outlier) ?? true,
            let event = view.events[id]
        else { return false }
        return hostile.contains(event.pdu.sender.serverName)
    }

    private func isApart(_ key: StateKey, _ view: ServerView, _ other: ServerView) -> Bool {
        view.state[key].map { isApart($0, view, other) } ?? false
    }
}
