import MatrixModel
import MatrixRooms

/// Any JSON: read, encoded both ways, built up and read again.
func fuzzJSON(_ bytes: [UInt8]) {
    guard let document = try? JSONDocument(bytes) else { return }
    let root = document.root
    visit(root)
    for strict in [false, true] {
        guard let once = try? CanonicalJSON.encode(root, strict: strict) else { continue }
        guard let again = try? JSONDocument(once),
            let twice = try? CanonicalJSON.encode(again.root, strict: strict)
        else { return hold(false, "canonical JSON is JSON with a canonical form") }
        hold(once == twice, "the canonical form of canonical JSON is itself")
    }
    let value = root.value
    guard let copy = try? JSONValue.parse(value.serialized()) else {
        // Numbers beyond a Double's range have no text.
        return
    }
    hold(copy.serialized() == value.serialized(), "a serialized value is read as it was")
}

private func visit(_ view: JSONView) {
    _ = (view.string, view.integer, view.double, view.bool, view.count, view.rawBytes.count)
    for element in view.elements { visit(element) }
    for (key, value) in view.members {
        hold(view[key] != nil, "a member is found by its key")
        visit(value)
    }
}

/// An event of a call, its type in the first byte: read, written, and read again as it was.
func fuzzCallEvent(_ bytes: [UInt8]) {
    let types = [
        "invite", "candidates", "answer", "select_answer", "reject", "hangup", "negotiate",
        "sdp_stream_metadata_changed",
    ]
    guard let first = bytes.first, let document = try? JSONDocument(Array(bytes.dropFirst())) else { return }
    let type = "m.call." + types[Int(first) % types.count]
    guard let event = (try? CallEvent(type: type, content: document.root)).flatMap(\.self) else { return }
    hold(event.type == type, "an event keeps its type")
    guard let again = (try? CallEvent(type: type, content: event.content)).flatMap(\.self) else {
        return hold(false, "a call's event that was written is read")
    }
    hold(again == event, "a call's event that was written is read as it was")
}

/// An event of any room version, and all that is done with it before it is believed. The first byte chooses the version.
func fuzzPDU(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let version = RoomVersion.all[Int(first) % RoomVersion.all.count]
    guard let event = try? PDU(parsing: Array(bytes.dropFirst()), version: version) else { return }
    read(event)
    guard let again = try? PDU(parsing: event.canonicalJSON, version: version) else {
        return hold(false, "an accepted event is accepted again")
    }
    hold(again.id == event.id && again.canonicalJSON == event.canonicalJSON, "an event read again is the same")
    let redacted = Redaction.redact(event.document.root, rules: version.rules)
    guard let document = try? JSONDocument(redacted.serialized()) else {
        return hold(false, "a redacted event is JSON")
    }
    hold(Redaction.redact(document.root, rules: version.rules) == redacted, "redacting twice is redacting once")
}

/// Reads whatever somebody may ask of an event.
private func read(_ event: PDU) {
    _ = ContentHash.matches(event)
    for server in EventSignatures.requiredServers(of: event) { _ = EventSignatures.keyIDs(of: server, on: event) }
    _ = (event.redacts, event.unsigned, event.roomID, event.authEvents.count, event.prevEvents.count)
    var writer = JSONWriter()
    StrippedState.write(event, into: &writer)
    hold((try? JSONDocument(writer.bytes)) != nil, "stripped state is JSON")
    hold(
        (try? JSONDocument(ClientEvent.value(of: event, withRoomID: true).serialized())) != nil,
        "a client event is JSON")
    _ = authEventKeys(for: event)
    _ = try? RoomMember(event).membership
    let levels = PowerLevels(event, create: event)
    _ = try? levels.level(of: event.sender)
    _ = try? levels.required(for: event.type, isState: event.isState)
    for action in PowerLevels.Action.allCases { _ = try? levels.required(for: action) }
    _ = ServerACL(event.content).allows(event.sender.serverName)
    _ = HistoryVisibility(event)
    _ = ThirdPartyInvite(event).publicKeys(atMost: 10)
}

/// Events one a line, the first the create event: each is judged by the state that those before it make.
func fuzzAuthorization(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let version = RoomVersion.all[Int(first) % RoomVersion.all.count]
    let lines = bytes.dropFirst().split(separator: 0x0A).prefix(12)
    var events: [PDU] = []
    for line in lines {
        if let event = try? PDU(parsing: Array(line), version: version) { events.append(event) }
    }
    guard let create = events.first else { return }
    var state = RoomState()
    for event in events {
        try? checkAuthEvents(of: event, events, create)
        do {
            try authorize(event, given: state, by: version.rules, create: create)
            state.insert(event)
        } catch {}
    }
}

private func checkAuthEvents(of event: PDU, _ events: [PDU], _ create: PDU) throws {
    _ = authEventKeys(for: event)
    _ = RoomCreate(create).isPrivilegedCreator(event.sender)
}

/// Names of all kinds.
func fuzzIdentifiers(_ bytes: [UInt8]) {
    let name = text(bytes)
    round(name, as: UserID.self)
    round(name, as: RoomID.self)
    round(name, as: EventID.self)
    round(name, as: RoomAlias.self)
    round(name, as: DeviceID.self)
    round(name, as: EventType.self)
    if let server = try? ServerName(name) {
        _ = server.isIPLiteral
        hold(server.text == name, "a server name keeps its text")
        hold((server.port ?? 0) <= 99_999, "a port has five digits at most")
        hold(name.hasPrefix(server.host), "a server name begins with its host")
    }
    if let user = try? UserID(name) {
        hold("@\(user.localpart):\(user.serverName.text)" == name, "a user id is its parts")
        _ = UserID.localpart(for: name)
    }
    _ = try? MXCURI(name)
}

private func round<ID: MatrixIdentifier>(_ name: String, as type: ID.Type) {
    guard let id = try? ID(name) else { return }
    hold(id.text.utf8.elementsEqual(name.utf8), "an identifier keeps its text")
    hold(id == (try? ID(id.text)), "an identifier reads itself")
}

/// A pattern, a line's end, a text.
func fuzzGlob(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: 0x0A, maxSplits: 1)
    guard lines.count == 2, let glob = Glob(text(lines[0])) else { return }
    _ = glob.matches(text(lines[1]))
    _ = glob.matches(text(lines[0]))
}

/// A user's push rules, a line's end, an event.
func fuzzPushRules(_ bytes: [UInt8]) {
    let lines = bytes.split(separator: 0x0A, maxSplits: 1)
    guard lines.count == 2, let content = try? JSONValue.parse(Array(lines[0])),
        let event = try? JSONDocument(Array(lines[1])), let alice = try? UserID("@alice:test"),
        let bob = try? UserID("@bob:test"), let room = try? RoomID("!room:test")
    else { return }
    let rules = PushRuleset(user: alice, content: content)
    var pushed = PushedEvent(event.root, sender: bob, roomID: room, memberCount: 3) { _ in true }
    _ = pushed.outcome(for: alice, by: rules)?.tweaks
    let again = PushRuleset(user: alice, content: rules.content)
    hold(again.content == rules.content, "push rules are read as they were written")
}
