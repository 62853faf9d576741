internal import HomeserverStorage
internal import MatrixModel
internal import MatrixRooms

/// Whether servers have the same content of an event: what was hashed, or what a redaction leaves of it where there was one.
///
/// Who passes an event on can change what its sender hashed. Who gets it so keeps the redacted event, and who gets it whole
/// keeps it whole, so these may differ; but once a server is given a whole copy, it must have it whole. In room versions 1 and
/// 2 a hostile server can give one id to two events of its own: nobody who knows one of them can tell.
struct ContentAgreement: Sendable {
    let views: [ServerView]
    /// Servers that mean harm.
    var hostile: Set<ServerName> = []
    /// Events that hostile servers passed on with another content.
    var tampered: Set<EventID> = []
    /// Those of which a server had such a copy when it was given a whole one.
    var mendable: [ServerName: Set<EventID>] = [:]

    /// Those that a server which is out of the room redacted: who asks it, for its users sent them, is given what is left.
    var redactedOutside: Set<EventID> = []

    /// A content that a server has.
    private struct Form {
        /// What a redaction leaves, without signatures: to it others may add.
        let core: [UInt8]
        let isWhole: Bool
        let isRedacted: Bool

        init(_ pdu: PDU) throws {
            let redacted = try pdu.redacted()
            var value = JSONValue(redacted.document.root)
            value["signatures"] = nil
            core = value.serialized()
            isWhole = ContentHash.matches(pdu)
            isRedacted = redacted.canonicalJSON == pdu.canonicalJSON
        }
    }

    /// What is wrong, in words.
    func differences() throws -> [String] {
        var forms: [ServerName: [EventID: Form]] = [:]
        for view in views { forms[view.server] = try view.events.mapValues { try Form($0.pdu) } }
        let levels = views.flatMap(\.events.values).filter {
            $0.pdu.type == .powerLevels && !$0.flags.contains(.rejected)
        }
        let everRedacted = Set(views.flatMap(\.events.values).filter { $0.redactedBy != nil }.map(\.id))
            .union(redactedOutside)
        var found: [String] = []
        for view in views { found += alone(view, forms[view.server] ?? [:], levels.map(\.pdu)) }
        for id in Set(views.flatMap(\.shown.keys)).sorted() {
            found += together(id, forms, isRedacted: everRedacted.contains(id))
        }
        return found
    }

    // MARK: One server

    /// What is wrong whatever others have.
    private func alone(_ view: ServerView, _ forms: [EventID: Form], _ levels: [PDU]) -> [String] {
        var found: [String] = []
        var redactions: [EventID: [PDU]] = [:]
        for event in view.shown.values where event.pdu.type == .redaction {
            if let target = event.pdu.redacts { redactions[target, default: []].append(event.pdu) }
        }
        for (id, event) in view.events.sorted(by: { $0.key < $1.key }) {
            guard let form = forms[id] else { continue }
            let name = "\(id) (\(event.pdu.type))"
            if !form.isWhole, !form.isRedacted {
                found.append("\(view.server) has a content of \(name) that is not what was hashed")
            }
            guard let redaction = event.redactedBy else {
                if !form.isWhole, mendable[view.server]?.contains(id) == true {
                    found.append("\(view.server) has \(name) without its content, and was given a whole copy")
                }
                let due = (redactions[id] ?? []).filter { $0.id != id && mustApply($0, event.pdu, view, levels) }
                if event.position != nil, let redaction = due.map(\.id).min() {
                    found.append("\(view.server) shows \(redaction), and has not carried it out on \(name)")
                }
                continue
            }
            if !form.isRedacted {
                found.append("\(view.server) has the content of \(name), which \(redaction) redacted")
            }
            if view.events[redaction]?.pdu.type != .redaction {
                found.append("\(view.server) has \(name) as redacted by \(redaction), and that is no redaction there")
            }
        }
        return found
    }

    /// Whether who shows a redaction must have carried it out, whichever of both came first: from version 3 on one by another
    /// server's user hangs on the power levels of the day, so it must only where all that the room ever had allow it.
    private func mustApply(_ redaction: PDU, _ target: PDU, _ view: ServerView, _ levels: [PDU]) -> Bool {
        if redaction.version.rules.authorization.redactionsNeedPower
            || redaction.sender.serverName == target.sender.serverName
        {
            return redactionApplies(redaction, to: target) { RoomState() }
        }
        guard let id = view.state[StateKey(.create, "")], let create = view.events[id]?.pdu, !levels.isEmpty else {
            return false
        }
        return levels.allSatisfy { level in redactionApplies(redaction, to: target) { RoomState([create, level]) } }
    }

    // MARK: All servers

    private func together(_ id: EventID, _ forms: [ServerName: [EventID: Form]], isRedacted: Bool) -> [String] {
        let showing = views.filter { $0.events[id]?.position != nil }
        guard let any = showing.first?.events[id]?.pdu else { return [] }
        let sender = any.sender.serverName
        // What its own server made of it counts, also where that does not show it any more.
        let model = views.first { $0.server == sender && $0.events[id] != nil } ?? showing[0]
        guard let form = forms[model.server]?[id] else { return [] }
        let name = "\(id) (\(any.type))"
        var found: [String] = []
        for view in showing where view.server != model.server {
            guard let other = forms[view.server]?[id], other.core != form.core else { continue }
            if any.version.rules.eventIDIsSent, hostile.contains(sender) { continue }
            found.append("\(model.server) and \(view.server) have different events for \(name)")
        }
        let whole = ([model] + showing).filter { forms[$0.server]?[id]?.isWhole == true }
        guard let owner = whole.first, !isRedacted, !tampered.contains(id) else { return found }
        for view in showing where forms[view.server]?[id]?.isWhole == false {
            found.append(
                "\(view.server) has \(name) without its content, which nobody redacted and \(owner.server) has")
        }
        return found
    }
}
