public import MatrixModel
public import SQLDatabase

/// Whose device lists a user must look at again, between two points of the streams.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#tracking-the-device-list-for-a-user>
public struct DeviceListChanges {
    private let connection: any SQLConnection

    /// What this transaction sees.
    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// The users who share a room with `user` and whose devices changed, or who came to share one; and those who shared one
    /// and no longer do. A member who only changed their name may be among the first: looking again does no harm.
    /// - Parameters:
    ///   - events: positions of the stream `events`.
    ///   - deviceLists: positions of the stream `device_lists`.
    /// - Throws: `DatabaseError`.
    public func changes(
        for user: UserID, events: (after: Int64, upTo: Int64), deviceLists: (after: Int64, upTo: Int64)
    ) throws -> (changed: Set<UserID>, left: Set<UserID>) {
        let shared = SharedRooms(connection)
        var changed = try shared.changedDeviceLists(for: user, after: deviceLists.after, upTo: deviceLists.upTo)
        guard events.after < events.upTo else { return (changed, []) }
        // Others who came or went in rooms of the user, and all who are in rooms that the user came to or left.
        let members = try connection.query(
            """
            SELECT o.user_id, o.membership, m.membership FROM room_members m
            JOIN room_members o ON o.room_nid = m.room_nid AND o.user_id <> m.user_id
            WHERE m.user_id = \(user.text) AND m.membership IN ('join', 'leave', 'ban')
            AND ((m.membership = 'join' AND o.position > \(events.after) AND o.position <= \(events.upTo))
                OR (m.position > \(events.after) AND m.position <= \(events.upTo)))
            """)
        var met: Set<UserID> = []
        var parted: Set<UserID> = []
        for row in members {
            guard let other = try? UserID(row.text(0)) else { continue }
            let (theirs, ours) = (try row.text(1), try row.text(2))
            if theirs == "join", ours == "join" {
                met.insert(other)
            } else if ours != "join" || theirs == "leave" || theirs == "ban" {
                parted.insert(other)
            }
        }
        let sharing = try shared.sharing(met.union(parted), with: user)
        changed.formUnion(met.intersection(sharing))
        return (changed, parted.subtracting(sharing))
    }
}
