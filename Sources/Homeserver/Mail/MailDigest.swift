internal import MatrixModel
internal import MatrixRooms

/// What a user has not read, told in a mail. Of encrypted rooms it says only that there is something.
struct MailDigest: Sendable {
    /// Rooms, and messages of each, that are shown; the rest is counted.
    static let rooms = 10
    static let messagesPerRoom = 5
    /// Characters of one message.
    static let messageCharacters = 400
    static let nameCharacters = 60

    /// A room with something unread.
    struct Room: Sendable {
        var name: String
        var lines: [Line] = []
        var count = 0
    }

    /// One message.
    struct Line: Sendable {
        var sender: String
        var what: String
        /// Milliseconds since 1970, as its sender says.
        var time: Int64
    }

    private(set) var all: [Room] = []
    private var places: [RoomID: Int] = [:]

    /// How many messages there are.
    var count: Int { all.reduce(0) { $0 + $1.count } }

    /// Adds an event.
    mutating func add(_ event: PushableEvent, _ names: RoomNames.Names) {
        let id = event.event.roomID
        let place = places[id] ?? all.count
        if place == all.count {
            places[id] = place
            all.append(Room(name: MailMessage.plain(names.room ?? id.text, atMost: Self.nameCharacters)))
        }
        all[place].count += 1
        // The newest are shown.
        all[place].lines.append(
            Line(
                sender: MailMessage.plain(
                    names.sender ?? event.event.sender.text, atMost: Self.nameCharacters),
                what: Self.what(event.event, isEncrypted: names.isEncrypted),
                time: event.event.originServerTimestamp))
        if all[place].lines.count > Self.messagesPerRoom { all[place].lines.removeFirst() }
    }

    private static func what(_ event: PDU, isEncrypted: Bool) -> String {
        if event.type == .member { return "invited you" }
        if event.type == .encrypted { return "sent an encrypted message" }
        guard event.type == .message else { return "sent something" }
        guard !isEncrypted, let body = event.content["body"]?.string else { return "sent a message" }
        switch event.content["msgtype"]?.string {
        case "m.image": return "sent an image"
        case "m.video": return "sent a video"
        case "m.audio": return "sent a sound"
        case "m.file": return "sent a file"
        default: return MailMessage.plain(body, atMost: Self.messageCharacters)
        }
    }

    // MARK: As text

    /// One line for the subject.
    func subject(server: ServerName) -> String {
        let things = count == 1 ? "1 unread message" : "\(count) unread messages"
        guard all.count == 1, let room = all.first else { return "[\(server)] \(things) in \(all.count) rooms" }
        return "[\(server)] \(things) in \(room.name)"
    }

    /// The mail's text.
    func text(for user: UserID, unsubscribe: String) -> String {
        var lines = ["There is something new for \(user) that you have not read.", ""]
        for room in all.prefix(Self.rooms) {
            lines.append("\(room.name) (\(room.count))")
            for line in room.lines {
                lines.append("  \(CalendarTime(milliseconds: line.time).short)  \(line.sender): \(line.what)")
            }
            lines.append("")
        }
        if all.count > Self.rooms { lines += ["And \(all.count - Self.rooms) more rooms.", ""] }
        lines += ["To get no such mail any more: \(unsubscribe)", ""]
        return lines.joined(separator: "\n")
    }

    /// The same as HTML.
    func html(for user: UserID, unsubscribe: String) -> String {
        let e = { (text: String) in text.escapedForMarkup }
        var out = "<p>There is something new for <b>\(e(user.text))</b> that you have not read.</p>\n"
        for room in all.prefix(Self.rooms) {
            out += "<h3>\(e(room.name)) (\(room.count))</h3>\n<ul>\n"
            for line in room.lines {
                let time = CalendarTime(milliseconds: line.time).short
                out += "<li><small>\(time)</small> <b>\(e(line.sender))</b>: \(e(line.what))</li>\n"
            }
            out += "</ul>\n"
        }
        if all.count > Self.rooms { out += "<p>And \(all.count - Self.rooms) more rooms.</p>\n" }
        out += "<p><small><a href=\"\(e(unsubscribe))\">Get no such mail any more</a></small></p>\n"
        return "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>\n\(out)</body></html>\n"
    }
}
