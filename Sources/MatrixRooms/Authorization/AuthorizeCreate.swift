import MatrixModel

/// Rule 1: the first event of a room.
extension EventAuthorization {
    func authorizeCreate() throws(Rejection) {
        // 1.1. If it has any prev_events, reject.
        guard event.prevEvents.isEmpty else { throw Rejection("1.1", "a create event follows no other") }

        if rules.roomIDIsCreateEventHash {
            // 1.2. If the event has a room_id, reject.
            guard event.document.root["room_id"] == nil else {
                throw Rejection("1.2", "the create event has a room_id")
            }
        } else {
            // Versions 1 to 11, 1.2. If the domain of the room_id does not match the domain of the sender, reject.
            guard event.roomID.serverName == event.sender.serverName else {
                throw Rejection("1.2", "the room's name is not of the creator's server")
            }
        }

        // 1.3. If content.room_version is present and is not a recognised version, reject.
        guard RoomCreate.roomVersion(of: event.content) != nil else {
            throw Rejection("1.3", "the room version is not known")
        }

        // Versions 1 to 10, 1.4. If content has no creator property, reject.
        if !rules.authorization.creatorIsSender, event.content["creator"] == nil {
            throw Rejection("v1 1.4", "the create event names no creator")
        }

        // 1.4. If additional_creators is present and is not an array of strings that are user ids, reject.
        if rules.authorization.privilegedCreators, let creators = event.content["additional_creators"] {
            guard let creators = creators.array, creators.allSatisfy(isUserID) else {
                throw Rejection("1.4", "additional_creators is not a list of user ids")
            }
        }

        // 1.5. Otherwise, allow.
    }

    private func isUserID(_ value: JSONView) -> Bool {
        guard let text = value.string else { return false }
        return (try? UserID(text)) != nil
    }
}
