public import MatrixModel

/// One client in a call.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#party-identifiers>
public struct CallParty: Sendable, Hashable {
    public let user: UserID
    /// Nil for a client that speaks version 0.
    public let party: PartyID?

    /// A user's client.
    public init(user: UserID, party: PartyID?) {
        self.user = user
        self.party = party
    }
}
