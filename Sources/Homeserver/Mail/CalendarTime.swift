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
        // Days since 1 March of the year 0, in eras of 400 years.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
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
