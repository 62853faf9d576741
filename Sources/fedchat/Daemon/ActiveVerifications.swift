import FedchatKit

/// Verifications that commands run, by a number.
actor ActiveVerifications {
    private var sessions: [Int64: VerificationSession] = [:]
    private var next: Int64 = 1

    /// Keeps one, whose number it is told before it is made.
    func add(_ make: (Int64) -> VerificationSession) -> (Int64, VerificationSession) {
        let (number, session) = (next, make(next))
        next += 1
        sessions[number] = session
        return (number, session)
    }

    func remove(_ number: Int64) { sessions[number] = nil }

    func session(_ number: Int64) -> VerificationSession? { sessions[number] }
}
