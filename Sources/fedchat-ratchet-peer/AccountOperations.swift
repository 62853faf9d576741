internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    static let accountOperations: [String: Operation] = [
        "account_new": { peer, request in
            try peer.keep(OlmAccount(random: peer.random), request)
        },
        "account_keys": { peer, request in try changing(&peer.accounts, request, "a") { keys($0) } },
        "account_sign": { peer, request in
            let message = try request.bytes("message")
            return try changing(&peer.accounts, request, "a") { ["signature": .base64($0.sign(message))] }
        },
        "account_generate_otk": { peer, request in
            let (count, random) = (try request.integer("n"), peer.random)
            return try changing(&peer.accounts, request, "a") { account in
                account.generateOneTimeKeys(count, random: random)
                return ["one_time_keys": names(account.unpublishedOneTimeKeys)]
            }
        },
        "account_otk": { peer, request in
            try changing(&peer.accounts, request, "a") { ["one_time_keys": names($0.unpublishedOneTimeKeys)] }
        },
        "account_generate_fallback": { peer, request in
            let random = peer.random
            return try changing(&peer.accounts, request, "a") { account in
                account.generateFallbackKey(random: random)
                return ["fallback_key": names([account.unpublishedFallbackKey].compactMap { $0 })]
            }
        },
        "account_fallback": { peer, request in
            try changing(&peer.accounts, request, "a") { account in
                ["fallback_key": names([account.unpublishedFallbackKey].compactMap { $0 })]
            }
        },
        "account_publish": { peer, request in
            try changing(&peer.accounts, request, "a") { $0.markPublished() }
            return [:]
        },
        "account_pickle": { peer, request in
            let (key, random) = (try request.bytes("key"), peer.random)
            return try changing(&peer.accounts, request, "a") { account in
                ["pickle": .base64(try account.pickle(key: key, random: random))]
            }
        },
        "account_unpickle": { peer, request in
            try peer.keep(OlmAccount(pickle: request.bytes("pickle"), key: request.bytes("key")), request)
        },
        "ed25519_verify": { _, request in
            let signature = try request.bytes("signature")
            let message = try request.bytes("message")
            let key = try? Ed25519.PublicKey(try request.bytes("public_key"))
            return ["valid": .bool(key?.verifies(signature, of: message) ?? false)]
        },
    ]

    /// Keeps the account by the name that the request gives it.
    mutating func keep(_ account: OlmAccount, _ request: PeerRequest) throws -> Reply {
        accounts[try request.text("a")] = account
        return Self.keys(account)
    }

    private static func keys(_ account: OlmAccount) -> Reply {
        [
            "curve25519": .base64(account.curve25519Key.bytes), "ed25519": .base64(account.ed25519Key.bytes),
            "max_one_time_keys": .integer(Int64(OlmAccount.maximumOneTimeKeys)),
        ]
    }

    private static func names(_ keys: [OlmAccount.OneTimeKey]) -> JSONValue {
        .object(Dictionary(keys.map { ($0.id, .base64($0.publicKey.bytes)) }) { first, _ in first })
    }
}
