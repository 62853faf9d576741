public import MatrixModel
public import MatrixRooms

extension TestRoom {
    /// Judges an event by the room's state.
    public func authorize(_ event: PDU) throws(Rejection) {
        try MatrixRooms.authorize(event, given: self, by: rules, create: create)
    }

    /// The rule by which the room's state rejects an event; `nil` if it allows it.
    public func clauseRejecting(_ event: PDU) -> String? {
        do throws(Rejection) {
            try authorize(event)
            return nil
        } catch {
            return error.clause
        }
    }
}
