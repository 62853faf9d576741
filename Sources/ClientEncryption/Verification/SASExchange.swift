internal import Cryptography
internal import MatrixModel
internal import Ratchet

/// What the two sides of a SAS verification have said to each other.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#short-authentication-string-sas-verification>
struct SASExchange: Sendable {
    /// What is awaited.
    enum Step: Sendable, Equatable {
        /// We started.
        case accept
        /// We accepted, or sent our key: theirs.
        case key
        /// The users compare.
        case comparison
        /// Both codes match; their MAC.
        case mac
        case nothing
    }

    static let agreement = "curve25519-hkdf-sha256"
    static let hash = "sha256"
    static let macs = ["hkdf-hmac-sha256.v2", "hkdf-hmac-sha256"]

    let weStarted: Bool
    /// The content of `m.key.verification.start`, as it went over the wire.
    let start: JSONValue
    var step: Step
    let own: SAS
    var commitment: String?
    var established: EstablishedSAS?
    var theirKey: String?
    var mac = "hkdf-hmac-sha256.v2"
    /// Their `m.key.verification.mac`, when it comes before our user has compared.
    var earlyMAC: JSONValue?

    init(weStarted: Bool, start: JSONValue, random: some RandomSource) {
        self.weStarted = weStarted
        self.start = start
        own = SAS(random: random)
        step = weStarted ? .accept : .key
    }

    var ownKey: String { Base64.encode(own.publicKey.bytes) }

    /// The fields of `m.key.verification.start`.
    static let offer: [String: JSONValue] = [
        "method": "m.sas.v1", "key_agreement_protocols": [.string(agreement)], "hashes": [.string(hash)],
        "message_authentication_codes": .array(macs.map { .string($0) }),
        "short_authentication_string": ["emoji", "decimal"],
    ]

    /// `m.key.verification.accept`'s `commitment`.
    func commitment(to key: String) -> String {
        Base64.encode(SHA256.hash(Array(key.utf8) + start.serialized()))
    }

    /// Chooses from what they offer; nil where there is nothing in common.
    mutating func choose() -> [String: JSONValue]? {
        func offers(_ field: String, _ name: String) -> Bool {
            start[field]?.elements.contains { $0.string == name } ?? false
        }
        guard offers("key_agreement_protocols", Self.agreement), offers("hashes", Self.hash),
            let mac = Self.macs.first(where: { offers("message_authentication_codes", $0) })
        else { return nil }
        let shown = ["emoji", "decimal"].filter { offers("short_authentication_string", $0) }
        guard !shown.isEmpty else { return nil }
        self.mac = mac
        return [
            "method": "m.sas.v1", "key_agreement_protocol": .string(Self.agreement), "hash": .string(Self.hash),
            "message_authentication_code": .string(mac),
            "short_authentication_string": .array(shown.map { .string($0) }),
            "commitment": .string(commitment(to: ownKey)),
        ]
    }

    /// Takes what they chose of ours; false where they chose something else.
    mutating func take(accept: JSONValue) -> Bool {
        guard accept["key_agreement_protocol"]?.string == Self.agreement, accept["hash"]?.string == Self.hash,
            let mac = accept["message_authentication_code"]?.string, Self.macs.contains(mac),
            accept["short_authentication_string"]?.elements.contains(where: {
                $0.string == "emoji" || $0.string == "decimal"
            }) ?? false
        else { return false }
        self.mac = mac
        commitment = accept["commitment"]?.string
        return commitment != nil
    }

    /// The code to compare.
    func code(_ us: VerificationParty, _ them: VerificationParty, _ transaction: String) -> SASCode? {
        guard let established, let theirKey else { return nil }
        let ours = "\(us.user)|\(us.device)|\(ownKey)|"
        let theirs = "\(them.user)|\(them.device)|\(theirKey)|"
        return established.code(
            info: "MATRIX_KEY_VERIFICATION_SAS|" + (weStarted ? ours + theirs : theirs + ours) + transaction)
    }

    /// The MAC of one item that `sender` tells `receiver`.
    private func mac(
        _ input: String, _ item: String, from sender: VerificationParty, to receiver: VerificationParty,
        _ transaction: String
    ) -> String? {
        let info =
            "MATRIX_KEY_VERIFICATION_MAC\(sender.user)\(sender.device)\(receiver.user)\(receiver.device)\(transaction)\(item)"
        return mac == Self.macs[0]
            ? established?.mac(of: input, info: info) : established?.legacyMAC(of: input, info: info)
    }

    /// The fields of our `m.key.verification.mac`: this device, and our master key if this device trusts it.
    func macs(_ us: VerificationParty, _ them: VerificationParty, _ transaction: String) -> [String: JSONValue] {
        var keys = ["ed25519:\(us.device)": us.ed25519]
        if us.trustsMaster, let master = us.master { keys["ed25519:\(master)"] = master }
        let list = keys.keys.sorted().joined(separator: ",")
        let macs = keys.compactMap { id, key in
            mac(key, id, from: us, to: them, transaction).map { (id, JSONValue.string($0)) }
        }
        return [
            "mac": .object(Dictionary(macs) { $1 }),
            "keys": .string(mac(list, "KEY_IDS", from: us, to: them, transaction) ?? ""),
        ]
    }

    /// Which of the other side's keys its MACs prove; nil where one does not fit.
    func verify(
        _ content: JSONValue, _ us: VerificationParty, _ them: VerificationParty, _ transaction: String
    ) -> VerifiedKeys? {
        let claimed = content["mac"]?.members ?? []
        guard !claimed.isEmpty, claimed.count <= Limits.verifiedKeys, let keys = content["keys"]?.string else {
            return nil
        }
        let list = claimed.map(\.key).sorted().joined(separator: ",")
        guard fits(keys, list, "KEY_IDS", us, them, transaction) else { return nil }
        var verified = VerifiedKeys()
        for (id, value) in claimed {
            let isDevice = id == "ed25519:\(them.device)"
            // Keys that we do not know are neither right nor wrong.
            guard let key = isDevice ? them.ed25519 : id == them.master.map({ "ed25519:\($0)" }) ? them.master : nil
            else { continue }
            guard let text = value.string, fits(text, key, id, us, them, transaction) else { return nil }
            if isDevice { verified.ed25519 = key } else { verified.master = key }
        }
        return verified.ed25519 == nil && verified.master == nil ? nil : verified
    }

    private func fits(
        _ given: String, _ input: String, _ item: String, _ us: VerificationParty, _ them: VerificationParty,
        _ transaction: String
    ) -> Bool {
        guard let expected = mac(input, item, from: them, to: us, transaction) else { return false }
        // Some pad, which the older code cannot.
        let bare = given.hasSuffix("=") ? String(given.prefix { $0 != "=" }) : given
        return constantTimeEquals(Array(bare.utf8), Array(expected.utf8))
    }
}
