private import Foundation

/// A disk in memory whose power can fail: what was written and not synced is then lost, in part or whole, as on a real one.
/// SQLite uses it through a VFS; a ``SQLiteConfiguration/Location/file(_:)`` with a path of ``path(of:)`` lies on it.
///
/// Creating and deleting a file is durable at once; SQLite syncs folders, and we do not model them.
public final class SimulatedDisk: @unchecked Sendable {
    struct State {
        var files: [String: SimulatedFile] = [:]
        var isDead = false
        /// Writes and syncs left until the power fails; nil: it does not.
        var operationsLeft: Int?
        var syncs = 0
    }

    let number: Int
    // Guarded by `lock`.
    private var state: State
    private let lock = NSLock()

    /// An empty disk.
    public convenience init() { self.init([:]) }

    private init(_ files: [String: SimulatedFile]) {
        state = State(files: files)
        number = SimulatedVFS.reserve()
        SimulatedVFS.mount(self)
    }

    deinit { SimulatedVFS.unmount(number) }

    /// The path by which SQLite opens a file of this disk.
    public func path(of name: String) -> String { "\(SimulatedVFS.root)\(number)/\(name)" }

    /// Whether the power has failed: nothing can be read or written anymore.
    public var isDead: Bool { locked { $0.isDead } }

    /// Bytes in all files.
    public var byteCount: Int { locked { $0.files.values.reduce(0) { $0 + $1.bytes.count } } }

    /// Whether something was written that is not synced.
    public var hasUnsynced: Bool { locked { $0.files.values.contains { $0.hasUnsynced } } }

    /// How many times something was synced.
    public var syncCount: Int { locked { $0.syncs } }

    /// Lets the power fail: now, or in the middle of what is written, after so many more writes and syncs.
    public func cutPower(after operations: Int = 0) {
        locked { state in
            if operations <= 0 { state.isDead = true } else { state.operationsLeft = operations }
        }
    }

    /// What is left after the power failed, as a new disk: all that was synced; of each write after that, any part.
    /// - Parameter keeps: asked for each sector (512 bytes) of each write that was not synced, whether it survived.
    public func afterPowerCut(keeps: () -> Bool) -> SimulatedDisk {
        cutPower()
        return locked { state in
            SimulatedDisk(
                Dictionary(
                    uniqueKeysWithValues: state.files.sorted { $0.key < $1.key }.map { name, file in
                        (name, file.afterPowerCut(keeps: keeps))
                    }))
        }
    }

    private func locked<R>(_ body: (inout State) -> R) -> R {
        lock.lock()
        defer { lock.unlock() }
        return body(&state)
    }

    // MARK: For the VFS

    /// Reads or looks, unless the power has failed.
    func look<R>(_ body: (inout State) -> R) -> R? {
        locked { $0.isDead ? nil : body(&$0) }
    }

    /// Changes something, unless the power has failed, or fails now.
    func change<R>(_ body: (inout State) -> R) -> R? {
        locked { state in
            if let left = state.operationsLeft {
                state.operationsLeft = left - 1
                if left <= 0 { state.isDead = true }
            }
            return state.isDead ? nil : body(&state)
        }
    }
}
