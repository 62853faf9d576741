/// A version of the rules by which the events of one room are formatted, authorized and resolved.
/// Spec: <https://spec.matrix.org/v1.19/rooms/>
public enum RoomVersion: String, CaseIterable, Hashable, Sendable, CustomStringConvertible {
    case v1 = "1"
    case v2 = "2"
    case v3 = "3"
    case v4 = "4"
    case v5 = "5"
    case v6 = "6"
    case v7 = "7"
    case v8 = "8"
    case v9 = "9"
    case v10 = "10"
    case v11 = "11"
    case v12 = "12"

    /// The version a new room gets when its creator names none.
    public static let recommended = RoomVersion.v12

    /// All versions known here, oldest first.
    public static let all = RoomVersion.allCases

    /// `nil` for a version that is not known here.
    public init?(_ text: String) { self.init(rawValue: text) }

    /// The version as it stands in `m.room.create`.
    public var text: String { rawValue }

    public var description: String { rawValue }

    /// What the version means. Code asks the rules, never the version.
    public var rules: RoomVersionRules {
        switch self {
        case .v1: .v1
        case .v2: .v2
        case .v3: .v3
        case .v4: .v4
        case .v5: .v5
        case .v6: .v6
        case .v7: .v7
        case .v8: .v8
        case .v9: .v9
        case .v10: .v10
        case .v11: .v11
        case .v12: .v12
        }
    }
}
