public import MatrixModel

/// Whether a redaction that the room accepted takes effect on an event, once both have come. Until it does neither is the
/// redaction shown to clients.
/// Spec: <https://spec.matrix.org/v1.19/rooms/v12/#handling-redactions>
/// - Parameters:
///   - state: gives the state before the redaction: the create event and the power levels at least. Asked only if it decides.
public func redactionApplies<State: RoomStateView>(
    _ redaction: PDU, to event: PDU, given state: () throws -> State
) rethrows -> Bool {
    guard redaction.type == .redaction, redaction.redacts == event.id, redaction.roomID == event.roomID else {
        return false
    }
    // Versions 1 and 2 have judged it by their authorization rules.
    if redaction.version.rules.authorization.redactionsNeedPower { return true }
    // 2. "The domain of the redaction event's sender matches that of the original event's sender."
    if redaction.sender.serverName == event.sender.serverName { return true }
    // 1. "The power level of the redaction event's sender is greater than or equal to the redact level."
    let state = try state()
    guard let create = state.event(.create, "") else { return false }
    let levels = state.powerLevels(create: create)
    guard let sender = try? levels.level(of: redaction.sender), let needed = try? levels.required(for: .redact) else {
        return false
    }
    return sender >= needed
}
