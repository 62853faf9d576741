internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// Whether servers that are in a room have the same newest events and the same state.
struct RoomAgreement: Sendable {
    let views: [ServerView]
    /// Servers of which nobody may speak: they cannot tie together what lies in parallel.
    let mute: Set<ServerName>

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
            where first.state[key] != view.state[key] {
                found.append(
                    "\(first.server) and \(view.server) disagree about \(key): "
                        + "\(first.state[key]?.text ?? "nothing"), \(view.state[key]?.text ?? "nothing")")
            }
        }
        return found
    }

    /// A server's extremities as far as another shares them: what that one withheld can only be tied in by who has it. So can
    /// what it never got, for it was out of the room, where whoever got it withheld it: nothing leads to that.
    private func newest(_ view: ServerView, seenBy other: ServerView) -> Set<EventID> {
        guard mute.contains(view.server) else { return view.extremities }
        return view.extremities.filter { id in
            if let event = other.events[id] { return !event.flags.contains(.softFailed) }
            return !views.contains { $0.events[id]?.flags.contains(.softFailed) == true }
        }
    }
}
