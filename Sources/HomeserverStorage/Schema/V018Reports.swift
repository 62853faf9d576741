internal import SQLDatabase

/// Schema 18: what users report to the operator.
enum V018Reports {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            // reason: sealed. Of room_id, event_id and user_id those that are reported.
            SQL(
                raw: """
                    CREATE TABLE reports (
                        report_nid \(dialect.generatedKey), created BIGINT NOT NULL, reporter TEXT NOT NULL,
                        room_id TEXT, event_id TEXT, user_id TEXT, reason \(dialect.bytesType) NOT NULL)
                    """),
            SQL(raw: "CREATE INDEX reports_by_reporter ON reports (reporter, report_nid)"),
        ]
    }
}
