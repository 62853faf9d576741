import Foundation
import Synchronization
import Testing

/// What comes of each fault. With FEDCHAT_FAULT_TABLE naming a file, the table of `spec/results` is written there.
@Suite("Faults between two servers") struct FaultTableTests {
    private static let rows = Mutex<[String: String]>([:])

    @Test(.timeLimit(.minutes(2)), arguments: FaultCase.all)
    func `a fault heals, or its cause is named`(fault: FaultCase) async throws {
        let outcome = Mutex<FaultCase.Outcome?>(nil)
        try await FaultWorld.run { world in
            let result = try await fault.run(world)
            outcome.withLock { $0 = result }
        }
        let result = outcome.withLock { $0 }
        #expect(result == fault.expected)
        guard let file = ProcessInfo.processInfo.environment["FEDCHAT_FAULT_TABLE"], let result else { return }
        let all = Self.rows.withLock { rows in
            rows[fault.name] = "\(result)"
            return rows
        }
        let lines = FaultCase.all.compactMap { each in all[each.name].map { "| \(each.name) | \($0) |" } }
        let text = (["| fault | what came of it |", "| --- | --- |"] + lines).joined(separator: "\n") + "\n"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
    }
}
