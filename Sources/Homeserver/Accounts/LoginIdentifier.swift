internal import MatrixModel

/// How a user is named when logging in. Spec: <https://spec.matrix.org/v1.19/client-server-api/#identifier-types>
enum LoginIdentifier {
    /// The user of `identifier` (`m.id.user`) or of the older field `user`: a whole user ID of this server or a
    /// localpart, capitals made small. `nil` when there is none, or another kind.
    static func user(in object: JSONView, server: ServerName) -> UserID? {
        let text: String?
        if let identifier = object["identifier"], identifier.isObject {
            guard identifier["type"]?.string == "m.id.user" else { return nil }
            text = identifier["user"]?.string
        } else {
            text = object["user"]?.string
        }
        return text.flatMap { user(named: $0, server: server) }
    }

    /// The user of a whole user ID of this server or a localpart.
    static func user(named text: String, server: ServerName) -> UserID? {
        let small = String(decoding: text.utf8.map { (0x41...0x5A).contains($0) ? $0 + 0x20 : $0 }, as: UTF8.self)
        if text.hasPrefix("@") {
            guard let whole = try? UserID(text), whole.serverName == server else { return nil }
            let localpart = String(small.dropFirst().prefix { $0 != ":" })
            return (try? UserID(newLocalpart: localpart, server: server)) ?? whole
        }
        return (try? UserID(newLocalpart: small, server: server)) ?? (try? UserID("@\(text):\(server.text)"))
    }
}

/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration>
enum RegistrationTokenText {
    /// 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
    static func isValid(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E, 0x5F, 0x7E, 0x2D: true
                default: false
                }
            }
    }
}
