/// A persistent event exactly as its server signed it. Passed around by reference: a copy costs nothing.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#pdus>
public struct PDU: Sendable, Identifiable {
    private let envelope: EventEnvelope

    /// The id: a field of the event in versions 1 and 2, from 3 on its hash.
    public var id: EventID { envelope.id }
    /// In version 12 that of the create event follows from its id.
    public var roomID: RoomID { envelope.roomID }
    /// The version of the room's rules, by which it was read.
    public var version: RoomVersion { envelope.version }
    /// The event in the format of federation, with signatures and (from version 3) without its id, as canonical JSON.
    /// These bytes are hashed, signed, stored and relayed; they are never encoded again.
    public var canonicalJSON: [UInt8] { envelope.document.bytes }
    /// The same bytes, to read fields that have no property here.
    public var document: JSONDocument { envelope.document }
    /// What the event is about.
    public var type: EventType { envelope.type }
    /// Who sent it.
    public var sender: UserID { envelope.sender }
    /// `nil` for an event that is no state.
    public var stateKey: String? { envelope.stateKey }
    /// What it says: an object, of which nothing else is checked.
    public var content: JSONView { envelope.content }
    /// At most 10.
    public var authEvents: [EventID] { envelope.authEvents }
    /// At most 20.
    public var prevEvents: [EventID] { envelope.prevEvents }
    /// How far from the create event its server puts it; not to be trusted.
    public var depth: Int64 { envelope.depth }
    /// Milliseconds since 1970, as the sender's server says.
    public var originServerTimestamp: Int64 { envelope.originServerTimestamp }

    /// Whether it is part of the room's state.
    public var isState: Bool { envelope.stateKey != nil }
    /// What was stored under `unsigned`, if anything was.
    public var unsigned: JSONView? { document.root["unsigned"] }
    /// The signatures by server and key; each is checked where it is needed.
    public var signatures: JSONView? { document.root["signatures"] }

    /// The event that this redaction redacts, wherever the room version has it say so.
    public var redacts: EventID? {
        let field = version.rules.redactsLocation == .content ? content["redacts"] : document.root["redacts"]
        return field?.string.flatMap { try? EventID($0) }
    }

    /// An event as another server sent it. What it says under `unsigned` nobody has signed, so it is not kept.
    /// - Parameter knownID: the id it must turn out to have, where it was asked for by id.
    /// - Throws: `MalformedEvent` where it is not of the version's format; such an event is dropped.
    public init(parsing bytes: [UInt8], version: RoomVersion, knownID: EventID? = nil) throws(MalformedEvent) {
        guard bytes.count <= EventLimits.sentBytes else {
            throw MalformedEvent(.tooLarge, "an event has at most \(EventLimits.bytes) bytes")
        }
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(bytes)
        } catch {
            throw MalformedEvent(error)
        }
        try self.init(parsing: document.root, version: version, knownID: knownID)
    }

    /// The same for an event that is part of a larger document, as in a transaction.
    public init(parsing view: JSONView, version: RoomVersion, knownID: EventID? = nil) throws(MalformedEvent) {
        guard view.kind == .object else { throw MalformedEvent(.badFormat, "an event is an object") }
        guard view.rawBytes.count <= EventLimits.sentBytes else {
            throw MalformedEvent(.tooLarge, "an event has at most \(EventLimits.bytes) bytes")
        }
        // Canonical JSON has each key once. Before version 6, which asks for it, the last one counts.
        guard !(version.rules.strictCanonicalJSON && view.containsDuplicateKeys) else {
            throw MalformedEvent(.badJSON, "an object has each key once")
        }
        let document: JSONDocument
        do throws(JSONError) {
            let canonical = try CanonicalJSON.encode(
                view, omitting: ["unsigned"], strict: version.rules.strictCanonicalJSON)
            document = try JSONDocument(canonical)
        } catch {
            throw MalformedEvent(error)
        }
        guard document.bytes.count <= EventLimits.bytes else {
            throw MalformedEvent(.tooLarge, "an event has at most \(EventLimits.bytes) bytes")
        }
        envelope = try EventEnvelope(document, version: version, origin: .foreign(expectedID: knownID))
    }

    /// An event of our own storage: it was checked when it came, so nothing is hashed.
    /// - Throws: `MalformedEvent` where the stored bytes are no event.
    public init(
        trusted canonicalJSON: [UInt8], id: EventID, roomID: RoomID, version: RoomVersion
    ) throws(MalformedEvent) {
        let document: JSONDocument
        do throws(JSONError) {
            document = try JSONDocument(canonicalJSON)
        } catch {
            throw MalformedEvent(error)
        }
        envelope = try EventEnvelope(document, version: version, origin: .trusted(id: id, roomID: roomID))
    }
}

extension JSONView {
    /// Whether an object at this place or below it has a key twice.
    fileprivate var containsDuplicateKeys: Bool {
        let nodes = storage.nodes
        return nodes[index..<nodes[index].next(after: index)].contains { $0.isObject && $0.hasDuplicates }
    }
}
