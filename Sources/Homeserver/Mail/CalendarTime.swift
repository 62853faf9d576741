/// A time as people write it, in UTC.
struct CalendarTime: Sendable, Hashable {
    let year: Int
    /// 1 to 12.
    let month: Int
    let day: Int
    let hour: Int
    let minute: Int
    let second: Int
    /// 0 is Sunday.
    let weekday: Int

    /// - Parameter milliseconds: since 1970; held within the years 1 to 9999.
    init(milliseconds: Int64) {
        let whole = milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0)
        let seconds = min(max(whole, -62_135_596_800), 253_402_300_799)
        let days = Int((seconds >= 0 ? seconds : seconds - 86_399) / 86_400)
        let rest = Int(seconds) - days * 86_400
        (hour, minute, second) = (rest / 3600, rest % 3600 / 60, rest % 60)
        weekday = ((days + 4) % 7 + 7) % 7
        let date = CivilDate(daysSince1970: days)
        (year, month, day) = (date.year, date.month, date.day)
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]

    /// As the header field `Date` has it (RFC 5322).
    var mailDate: String {
        "\(Self.weekdays[weekday]), \(day) \(Self.months[month - 1]) \(year) \(clock):\(Self.two(second)) +0000"
    }

    /// For people: `28 Nov, 15:04 UTC`.
    var short: String { "\(day) \(Self.months[month - 1]), \(clock) UTC" }

    private var clock: String { "\(Self.two(hour)):\(Self.two(minute))" }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
}
