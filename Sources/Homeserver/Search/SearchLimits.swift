/// The limits of searching.
enum SearchLimits {
    /// Bytes of a search term.
    static let termBytes = 1_024
    /// Events that hold the words and are looked at for one answer: results beyond are found by going on.
    static let candidates = 500
    /// Events looked at at once.
    static let candidatesAtOnce = 50
    /// Results of a page.
    static let page = 100
    /// Rooms searched in beside those named, since these took their place.
    static let predecessors = 50
    /// Events told before and after a result.
    static let context = 100
    /// Bytes of a token.
    static let tokenBytes = 1_024
    /// Events whose words are found in one step.
    static let eventsPerStep = 200
    /// Between two looks for new events that nobody told of.
    static let poll = Duration.seconds(5)
    /// Between two steps: time for others, and for more to come together.
    static let pause = Duration.milliseconds(100)
    /// How often, at most, words that are no more are cleared out.
    static let clearing = Duration.seconds(3_600)
    /// A node that dies leaves indexing to others after so many milliseconds.
    static let lease: Int64 = 30_000
}
