/// The bounds of every measurement: none goes on forever.
enum BenchLimits {
    /// Connections to one server.
    static let connections = 400
    /// Syncs that wait at once; each has a connection.
    static let polls = 10_000
    /// For one call.
    static let timeout = Duration.seconds(60)
    /// Of one answer: an initial sync of many rooms.
    static let answerBytes = 256 << 20
    /// Calls at once while users and rooms are made.
    static let preparing = 16
    /// Messages to one room at once while it is filled. More than an event has previous events would leave forks behind, each of
    /// which a server goes through for each message that follows.
    static let talking = 4
    /// Messages of one measurement.
    static let messages = 100_000
    /// Failures after which a measurement is given up.
    static let failures = 20
    /// Until a started server answers.
    static let startPatience = Duration.seconds(90)
    /// Until a server that was asked to end has ended.
    static let endPatience = Duration.seconds(5)
    /// Until a message that was sent is in every listener's sync.
    static let arrival = Duration.seconds(30)
    /// Until another server has all that was sent to it.
    static let catchingUp = Duration.seconds(100)
    /// Pages of history read when messages are counted.
    static let pages = 2_000
    /// Until what was sent can be searched for.
    static let indexing = Duration.seconds(300)
}
