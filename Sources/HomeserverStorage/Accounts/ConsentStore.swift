public import MatrixModel
public import SQLDatabase

/// Which version of which document a user agreed to, and when. A row for each document and version, while the account is not
/// erased.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#terms-of-service-at-registration>
public struct ConsentStore {
    /// A document that was agreed to.
    public struct Consent: Sendable, Hashable {
        public let policy: String
        public let version: String
        /// Milliseconds since 1970.
        public let accepted: Int64

        public init(policy: String, version: String, accepted: Int64) {
            self.policy = policy
            self.version = version
            self.accepted = accepted
        }
    }

    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Notes that a user agreed.
    /// - Throws: `DatabaseError`.
    public func add(_ consent: Consent, of user: UserID) throws {
        try connection.execute(
            """
            INSERT INTO policy_consents (user_id, policy, version, accepted_ts)
            VALUES (\(user.text), \(consent.policy), \(consent.version), \(consent.accepted))
            ON CONFLICT (user_id, policy, version) DO NOTHING
            """)
    }

    /// All that a user agreed to.
    /// - Throws: `DatabaseError`.
    public func consents(of user: UserID) throws -> [Consent] {
        try connection.query(
            """
            SELECT policy, version, accepted_ts FROM policy_consents WHERE user_id = \(user.text)
            ORDER BY policy, version
            """
        ).map { Consent(policy: try $0.text(0), version: try $0.text(1), accepted: try $0.integer(2)) }
    }

    /// Forgets what a user agreed to.
    /// - Throws: `DatabaseError`.
    public func deleteAll(of user: UserID) throws {
        try connection.execute("DELETE FROM policy_consents WHERE user_id = \(user.text)")
    }
}
