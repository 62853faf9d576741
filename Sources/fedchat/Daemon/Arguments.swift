import MatrixModel

extension JSONValue {
    /// An identifier that a person has typed, as their command hands it on: one that is none is their mistake, exit status 1.
    /// `what` it should be, for the message.
    func argument<ID: MatrixIdentifier>(_ key: String, _ what: String, as type: ID.Type = ID.self) throws(Failure) -> ID
    {
        do { return try requiredIdentifier(key) } catch { throw Failure("not \(what)", Failure.Status.usage) }
    }

    /// The same of a user.
    func user(_ key: String) throws(Failure) -> UserID { try argument(key, "a user: @name:server is expected") }
}
