/// `m.room.create`
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mroomcreate>
public struct RoomCreate: Sendable {
    /// The event whose content this reads.
    public let event: PDU

    /// A view of an event of this type.
    public init(_ event: PDU) { self.event = event }

    /// The version the room says it has: 1 if it says none, `nil` if it is not known here.
    public static func roomVersion(of content: some JSONReading) -> RoomVersion? {
        guard let field = content["room_version"] else { return .v1 }
        return field.string.flatMap { RoomVersion($0) }
    }

    /// Who made the room: the sender; up to room version 10 the user named in `creator`.
    public var creator: UserID? {
        if event.version.rules.authorization.creatorIsSender { return event.sender }
        return event.content["creator"]?.string.flatMap { try? UserID($0) }
    }

    /// The sender and `additional_creators`, who are above every power level. Nobody before room version 12.
    public var privilegedCreators: Set<UserID> {
        guard event.version.rules.authorization.privilegedCreators else { return [] }
        var creators: Set<UserID> = [event.sender]
        for element in event.content["additional_creators"]?.elements ?? [] {
            if let text = element.string, let user = try? UserID(text) { creators.insert(user) }
        }
        return creators
    }

    /// Whether a user is one of `privilegedCreators`.
    public func isPrivilegedCreator(_ user: UserID) -> Bool {
        guard event.version.rules.authorization.privilegedCreators else { return false }
        if user == event.sender { return true }
        return event.content["additional_creators"]?.elements.contains {
            $0.string.map { $0.utf8.elementsEqual(user.text.utf8) } ?? false
        } ?? false
    }

    /// Whether users of other servers than the creator's may take part.
    public var isFederated: Bool { event.content["m.federate"]?.bool ?? true }

    /// `m.space`, for instance.
    public var roomType: String? { event.content["type"]?.string }

    /// The room that this one replaces.
    public var predecessor: RoomID? {
        event.content["predecessor"]?["room_id"]?.string.flatMap { try? RoomID($0) }
    }
}
