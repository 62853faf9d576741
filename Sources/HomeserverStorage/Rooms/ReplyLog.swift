internal import MatrixModel
public import SQLDatabase

/// The answers already given to requests with a transaction id, so that a repeated request has the same answer.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers>
public struct ReplyLog {
    private let connection: any SQLConnection

    /// The log as this transaction sees it.
    public init(_ connection: any SQLConnection) {
        self.connection = connection
    }

    /// The answer given before; nil for a new request.
    /// - Throws: `DatabaseError`.
    public func response(to origin: SendOrigin) throws -> [UInt8]? {
        try connection.query(
            """
            SELECT response FROM reply_log WHERE user_id = \(origin.user.text)
            AND device_id = \(origin.device?.text ?? "") AND scope = \(origin.scope)
            AND transaction_id = \(origin.transactionID)
            """
        ).first?.bytes(0)
    }

    /// Notes an answer, in the transaction that makes it true.
    /// - Parameter now: milliseconds since 1970.
    /// - Returns: false when there is an answer already, which must be given instead.
    /// - Throws: `DatabaseError`.
    public func record(_ response: [UInt8], to origin: SendOrigin, now: Int64) throws -> Bool {
        try connection.query(Self.recording(response, to: origin, now: now)).count == 1
    }

    /// Forgets answers given before `time`, milliseconds since 1970.
    /// - Throws: `DatabaseError`.
    public func removeAnswers(before time: Int64) throws {
        try connection.execute("DELETE FROM reply_log WHERE created < \(time)")
    }

    /// Inserts an answer and returns one row, or none when there is one already.
    static func recording(_ response: [UInt8], to origin: SendOrigin, now: Int64) -> SQL {
        """
        INSERT INTO reply_log (user_id, device_id, scope, transaction_id, response, created)
        VALUES (\(origin.user.text), \(origin.device?.text ?? ""), \(origin.scope), \(origin.transactionID),
        \(response), \(now)) ON CONFLICT (user_id, device_id, scope, transaction_id) DO NOTHING RETURNING created
        """
    }
}
