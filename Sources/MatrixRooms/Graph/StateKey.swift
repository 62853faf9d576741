public import MatrixModel

/// The place of a state event in a room's state. Two are the same if their bytes are: strings that Swift takes for
/// equal, as the spellings of an accented letter, are different keys to the rest of the federation.
public struct StateKey: Hashable, Sendable, CustomStringConvertible {
    public let type: EventType
    public let stateKey: String

    public init(_ type: EventType, _ stateKey: String) {
        self.type = type
        self.stateKey = stateKey
    }

    /// The place of an event; `nil` for one that is no state.
    public init?(of event: PDU) {
        guard let stateKey = event.stateKey else { return nil }
        self.init(event.type, stateKey)
    }

    public static func == (left: StateKey, right: StateKey) -> Bool {
        left.type == right.type && left.stateKey.isSameText(as: right.stateKey)
    }

    /// Equal bytes have equal hashes.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(type)
        hasher.combine(stateKey)
    }

    public var description: String { "\(type), \(stateKey)" }
}

/// Which event is where in a room's state.
public typealias StateMap = [StateKey: EventID]

extension StringProtocol {
    /// Byte for byte.
    func isSameText(as other: some StringProtocol) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}

/// A key of JSON whose bytes count.
struct ExactText: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ExactText, right: ExactText) -> Bool { left.text.isSameText(as: right.text) }

    func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
