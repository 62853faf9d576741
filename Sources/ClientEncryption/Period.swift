internal import SQLDatabase

/// Spans of time by this device's clock, in milliseconds.
public enum Period {
    /// Whether one that began at `start` is over: its time has passed, or it begins in the future. Then the clock was ahead, and
    /// what waits for the end would wait for as long as it was.
    public static func isOver(_ length: Int64, since start: Int64, at now: Int64) -> Bool {
        start <= now - length || start > now
    }

    /// The same as a condition, where a column holds the start.
    static func isOver(_ length: Int64, since column: SQL, at now: Int64) -> SQL {
        "(\(column) <= \(now - length) OR \(column) > \(now))"
    }
}
