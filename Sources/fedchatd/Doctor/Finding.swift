/// What one look of the doctor found.
struct Finding: Sendable, Hashable {
    enum Level: String, Sendable {
        case ok, warning, problem
    }

    /// What is looked at, from the outside in.
    enum Area: String, Sendable {
        case names, dns, wellKnown = "well-known", federation, clients, ports, certificates, clock, database, keys, disk
        case programs, mail

        /// Whether a problem here means that something cannot be reached.
        var isReachability: Bool { [.dns, .wellKnown, .federation, .clients, .database, .mail].contains(self) }
    }

    var area: Area
    var level: Level
    var text: String
    /// What to do about it.
    var mend: String?

    static func ok(_ area: Area, _ text: String) -> Finding { Finding(area: area, level: .ok, text: text, mend: nil) }

    static func warning(_ area: Area, _ text: String, mend: String) -> Finding {
        Finding(area: area, level: .warning, text: text, mend: mend)
    }

    static func problem(_ area: Area, _ text: String, mend: String) -> Finding {
        Finding(area: area, level: .problem, text: text, mend: mend)
    }

    /// As it is printed.
    var lines: String {
        let name = level.rawValue.padding(8) + area.rawValue.padding(13)
        guard let mend else { return name + text }
        return name + text + "\n" + String(repeating: " ", count: 21) + "mend: " + mend
    }
}

extension String {
    fileprivate func padding(_ width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(1, width - count))
    }
}
