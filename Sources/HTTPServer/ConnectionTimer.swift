internal import NIOCore

/// The one deadline of a connection. Setting it is cheap, as it happens for each request: the scheduled task is
/// left alone if it fires early enough to look again.
final class ConnectionTimer {
    private weak var connection: HTTPConnection?
    private var deadline: NIODeadline?
    private var scheduled: (task: Scheduled<Void>, at: NIODeadline)?
    private var bufferedBefore = Int.max

    init(_ connection: HTTPConnection) {
        self.connection = connection
    }

    /// Sets the deadline, or none.
    func set(_ duration: Duration?) {
        bufferedBefore = .max
        setAgain(duration)
    }

    /// The same, where what was seen at the last look still counts.
    func setAgain(_ duration: Duration?) {
        guard let duration else {
            deadline = nil
            return
        }
        let deadline = NIODeadline.now() + TimeAmount(duration)
        self.deadline = deadline
        if let scheduled, scheduled.at <= deadline { return }
        schedule(at: deadline)
    }

    /// Moves a deadline that is set.
    func extend(to deadline: NIODeadline) {
        guard let current = self.deadline else { return }
        self.deadline = deadline
        if deadline < current, let scheduled, scheduled.at > deadline { schedule(at: deadline) }
    }

    func cancel() {
        scheduled?.task.cancel()
        scheduled = nil
    }

    /// Whether the client took some of the bytes that wait for it since the last look.
    /// - Parameter orIdle: the answer if none wait.
    func writingMovedOn(orIdle: Bool) -> Bool {
        guard let options = connection?.context?.channel.syncOptions,
            let buffered = try? options.getOption(.bufferedWritableBytes), buffered > 0
        else { return orIdle }
        defer { bufferedBefore = buffered }
        return buffered < bufferedBefore
    }

    private func schedule(at time: NIODeadline) {
        cancel()
        guard let eventLoop = connection?.context?.eventLoop else { return }
        let timer = NIOLoopBound(self, eventLoop: eventLoop)
        scheduled = (eventLoop.scheduleTask(deadline: time) { timer.value.fired() }, time)
    }

    private func fired() {
        scheduled = nil
        guard let deadline, let connection, connection.context != nil else { return }
        guard deadline <= .now() else { return schedule(at: deadline) }
        self.deadline = nil
        connection.timeIsUp()
    }
}

@available(*, unavailable)
extension ConnectionTimer: Sendable {}
