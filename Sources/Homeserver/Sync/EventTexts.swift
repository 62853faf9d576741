internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// An event written for clients, but for what differs from reader to reader.
struct EventText: Sendable {
    /// The event's object without its last brace.
    let head: [UInt8]
    /// Members of `unsigned` that are the same for all, each with a comma before it.
    let unsigned: [UInt8]
    let isRedacted: Bool
    /// For who was not in the room when it was said; nil where all may read it.
    var hidden: [UInt8]?
}

/// Who reads events, and when.
struct EventReader: Sendable {
    var user: UserID
    var device: DeviceID?
    /// Milliseconds since 1970.
    var now: Int64
    var format = EventFormat.client
}

/// Writes events for clients. Each is written once, for all readers: the texts are kept by number.
struct EventTexts: Sendable {
    private let cache = BoundedCache<Int64, EventText>(budget: SyncLimits.eventTextBytes)
    private let events: EventCache
    private let sealer: StorageSealer
    /// Whose words are hidden from those who came later.
    let erased: ErasedUsers?

    init(events: EventCache, sealer: StorageSealer, erased: ErasedUsers? = nil) {
        self.events = events
        self.sealer = sealer
        self.erased = erased
    }

    /// Forgets what a notification says was redacted.
    func received(_ notification: String) {
        guard notification.hasPrefix("redacted ") else { return }
        for nid in notification.split(separator: " ").dropFirst() { Int64(nid).map(cache.remove) }
    }

    /// The texts of events, with what they refer to read all at once.
    /// - Throws: `DatabaseError`.
    func texts(of list: some Sequence<StoredEvent>, _ connection: any SQLConnection) throws -> [Int64: EventText] {
        var found: [Int64: EventText] = [:]
        var missing: [StoredEvent] = []
        let senders = Set(list.lazy.filter { !$0.pdu.isState }.map(\.pdu.sender))
        let hidden = try erased?.among(senders, connection) ?? []
        func isHidden(_ event: StoredEvent) -> Bool { !event.pdu.isState && hidden.contains(event.pdu.sender) }
        for event in list where found[event.nid] == nil {
            // An event that was redacted since it was written is written anew.
            if let text = cache.value(event.nid), text.isRedacted == (event.redactedBy != nil),
                (text.hidden != nil) == isHidden(event)
            {
                found[event.nid] = text
            } else {
                missing.append(event)
            }
        }
        guard !missing.isEmpty else { return found }
        let log = EventLog(connection, sealer)
        let replaced = try events.events(Set(missing.compactMap(\.replaces)), from: log)
        let redactions = missing.compactMap(\.redactedBy)
        let redacting = redactions.isEmpty ? [:] : try log.events(ids: redactions)
        for event in missing {
            var text = Self.text(
                of: event, replaced: event.replaces.flatMap { replaced[$0] },
                redacting: event.redactedBy.flatMap { redacting[$0] })
            if isHidden(event), let redacted = try? event.pdu.redacted() { text.hidden = Self.head(of: redacted) }
            found[event.nid] = text
            cache.put(event.nid, text, cost: text.head.count + text.unsigned.count + 128)
        }
        return found
    }

    private static func text(of event: StoredEvent, replaced: StoredEvent?, redacting: StoredEvent?) -> EventText {
        let head = head(of: event.pdu)
        // The first member is left out below, so that each of the others begins with a comma.
        var unsigned = JSONWriter()
        unsigned.beginObject()
        unsigned.key("a")
        unsigned.null()
        if let replaced {
            unsigned.key("prev_content")
            unsigned.raw(replaced.pdu.content.rawBytes)
            unsigned.key("prev_sender")
            unsigned.string(replaced.pdu.sender.text)
            unsigned.key("replaces_state")
            unsigned.string(replaced.id.text)
        }
        if let redacting {
            unsigned.key("redacted_because")
            ClientEvent.write(redacting.pdu, into: &unsigned, withRoomID: true)
        }
        return EventText(
            head: head, unsigned: Array(unsigned.bytes.dropFirst(9)), isRedacted: event.redactedBy != nil)
    }

    private static func head(of pdu: PDU) -> [UInt8] {
        var writer = JSONWriter(reserving: pdu.canonicalJSON.count)
        ClientEvent.write(pdu, into: &writer, withRoomID: false)
        return Array(writer.bytes.dropLast())
    }

    /// Writes one event for a reader.
    /// - Parameters:
    ///   - membership: the reader's membership at the event, if it is known.
    ///   - relations: what `Aggregations` says of it.
    static func write(
        _ event: StoredEvent, _ text: EventText?, for reader: EventReader, membership: Membership?, withRoomID: Bool,
        relations: [UInt8]? = nil, into writer: inout JSONWriter
    ) {
        guard let text else { return }
        let isHidden = text.hidden != nil && membership != .join
        let whole =
            reader.format.isFederation
            ? Array(((isHidden ? try? event.pdu.redacted() : nil) ?? event.pdu).canonicalJSON)
            : bytes(event, text, reader, membership, withRoomID, relations)
        guard let paths = reader.format.fields else { return writer.raw(whole) }
        guard let document = try? JSONDocument(whole) else { return }
        var picked = JSONValue.object([:])
        for path in paths { if let value = document.root[path: path] { picked.set(value.value, at: path[...]) } }
        writer.value(picked)
    }

    private static func bytes(
        _ event: StoredEvent, _ text: EventText, _ reader: EventReader, _ membership: Membership?, _ withRoomID: Bool,
        _ relations: [UInt8]?
    ) -> [UInt8] {
        let age = reader.now.subtractingReportingOverflow(event.pdu.originServerTimestamp)
        var bytes = membership == .join ? text.head : text.hidden ?? text.head
        bytes.reserveCapacity(text.head.count + text.unsigned.count + 160)
        if withRoomID { bytes += ",\"room_id\":\"\(event.pdu.roomID.text.escapedForJSON)\"".utf8 }
        bytes += ",\"unsigned\":{\"age\":\(age.overflow ? 0 : age.partialValue)".utf8
        if let membership { bytes += ",\"membership\":\"\(membership.rawValue)\"".utf8 }
        if let transaction = event.transactionID, event.pdu.sender == reader.user,
            transaction.hasPrefix(DelayedSending.transactionPrefix)
        {
            let delay = transaction.dropFirst(DelayedSending.transactionPrefix.count)
            bytes += ",\"org.matrix.msc4140.delay_id\":\"\(String(delay).escapedForJSON)\"".utf8
        } else if let transaction = event.transactionID, event.pdu.sender == reader.user,
            let device = event.senderDevice, device == reader.device
        {
            bytes += ",\"transaction_id\":\"\(transaction.escapedForJSON)\"".utf8
        }
        bytes += text.unsigned
        if let relations {
            bytes += ",\"m.relations\":".utf8
            bytes += relations
        }
        bytes += "}}".utf8
        return bytes
    }
}

extension JSONValue {
    /// Sets the value below some keys, making objects on the way.
    fileprivate mutating func set(_ value: JSONValue, at path: ArraySlice<String>) {
        guard let key = path.first else {
            self = value
            return
        }
        var below = self[key] ?? .object([:])
        below.set(value, at: path.dropFirst())
        self[key] = below
    }
}

extension String {
    /// The text between the quotes of a JSON string.
    fileprivate var escapedForJSON: String {
        var writer = JSONWriter()
        writer.string(self)
        return String(decoding: writer.bytes.dropFirst().dropLast(), as: UTF8.self)
    }
}
