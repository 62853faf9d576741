public import MatrixModel
public import SQLDatabase

/// Rooms, events and users that were reported to the operator, the newest ``Limits/reports`` of them.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#reporting-content>
public struct ReportStore {
    /// A report.
    public struct Report: Sendable, Hashable {
        public var nid: Int64 = 0
        /// Milliseconds since 1970.
        public var created: Int64
        public var reporter: UserID
        public var room: RoomID?
        public var event: EventID?
        public var user: UserID?
        public var reason: String

        /// Makes a report of a room, of an event in one, or of a user.
        public init(
            created: Int64, reporter: UserID, room: RoomID? = nil, event: EventID? = nil, user: UserID? = nil,
            reason: String
        ) {
            (self.created, self.reporter, self.reason) = (created, reporter, reason)
            (self.room, self.event, self.user) = (room, event, user)
        }
    }

    private let connection: any SQLConnection
    private let sealer: StorageSealer

    public init(_ connection: any SQLConnection, _ sealer: StorageSealer) {
        (self.connection, self.sealer) = (connection, sealer)
    }

    /// What a sealed reason is bound to.
    static func context(_ reporter: String) -> String { "report:" + reporter }

    /// Keeps a report. The reporter's oldest go when there are too many, then the oldest of all.
    /// - Throws: `DatabaseError`, `StorageSealer.Failure`.
    public func add(_ report: Report) throws {
        let reason = try sealer.seal(Array(report.reason.utf8), context: Self.context(report.reporter.text))
        try connection.executeAll([
            """
            INSERT INTO reports (created, reporter, room_id, event_id, user_id, reason)
            VALUES (\(report.created), \(report.reporter.text), \(report.room?.text), \(report.event?.text),
            \(report.user?.text), \(reason))
            """,
            """
            DELETE FROM reports WHERE reporter = \(report.reporter.text) AND report_nid <= (
                SELECT report_nid FROM reports WHERE reporter = \(report.reporter.text)
                ORDER BY report_nid DESC LIMIT 1 OFFSET \(Limits.reportsPerUser))
            """,
            """
            DELETE FROM reports WHERE report_nid <= (
                SELECT report_nid FROM reports ORDER BY report_nid DESC LIMIT 1 OFFSET \(Limits.reports))
            """,
        ])
    }

    /// The reports, the newest first.
    /// - Throws: `DatabaseError`; also of kind `.corrupt` when a row cannot be read.
    public func list(limit: Int) throws -> [Report] {
        try connection.query(Self.reports + " ORDER BY report_nid DESC LIMIT \(limit)").map(report)
    }

    /// One report; nil when there is none of this number.
    /// - Throws: `DatabaseError`; also of kind `.corrupt` when it cannot be read.
    public func report(_ nid: Int64) throws -> Report? {
        try connection.query(Self.reports + " WHERE report_nid = \(nid)").first.map(report)
    }

    /// Deletes a report. Returns whether it was there.
    /// - Throws: `DatabaseError`.
    public func dismiss(_ nid: Int64) throws -> Bool {
        try connection.execute("DELETE FROM reports WHERE report_nid = \(nid)") == 1
    }

    private static let reports: SQL =
        "SELECT report_nid, created, reporter, room_id, event_id, user_id, reason FROM reports"

    private func report(_ row: SQLRow) throws -> Report {
        let name = try row.text(2)
        guard let reporter = try? UserID(name),
            let reason = try? sealer.open(row.bytes(6), context: Self.context(name))
        else { throw DatabaseError(.corrupt, "a report cannot be read") }
        var report = Report(
            created: try row.integer(1), reporter: reporter,
            room: try row.optionalText(3).flatMap { try? RoomID($0) },
            event: try row.optionalText(4).flatMap { try? EventID($0) },
            user: try row.optionalText(5).flatMap { try? UserID($0) }, reason: String(decoding: reason, as: UTF8.self))
        report.nid = try row.integer(0)
        return report
    }
}
