import MatrixModel

/// What the process that owns the keys tells of devices and identities.
extension DaemonClient {
    /// A request, and its answer with what its user should know besides, who is told at once.
    func askTelling(_ method: String, _ params: JSONValue) throws -> JSONValue {
        var notices: [JSONValue] = []
        var answer = try ask(
            method, params,
            notice: { notice in
                Self.warn(notice)
                notices.append(notice)
            })
        if !notices.isEmpty { answer["notices"] = .array(notices) }
        return answer
    }

    /// Tells of a device or an identity, on standard error.
    static func warn(_ notice: JSONValue) { Output.complain(text(of: notice)) }

    /// What a notice says, and what to do about it.
    static func text(of notice: JSONValue) -> String {
        "\(notice["explanation"]?.string ?? ""). What to do: \(notice["advice"]?.string ?? "")"
    }
}
