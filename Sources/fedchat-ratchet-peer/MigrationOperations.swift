internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    /// Pickles of other libraries, and dehydrated devices.
    static let migrationOperations: [String: Operation] = [
        "account_unpickle_libolm": { peer, request in
            try keep(OlmAccount(libolmPickle: request.text("pickle"), key: request.bytes("key")), in: &peer, request)
        },
        "account_unpickle_vodozemac": { peer, request in
            try keep(OlmAccount(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), in: &peer, request)
        },
        "session_unpickle_libolm": { peer, request in
            try keep(OlmSession(libolmPickle: request.text("pickle"), key: request.bytes("key")), in: &peer, request)
        },
        "session_unpickle_vodozemac": { peer, request in
            try keep(OlmSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), in: &peer, request)
        },
        "group_unpickle_libolm": { peer, request in
            let session = try OutboundGroupSession(libolmPickle: request.text("pickle"), key: request.bytes("key"))
            peer.outbound[try request.text("g")] = session
            return describe(session)
        },
        "group_unpickle_vodozemac": { peer, request in
            let session = try OutboundGroupSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key"))
            peer.outbound[try request.text("g")] = session
            return describe(session)
        },
        "ingroup_unpickle_libolm": { peer, request in
            let session = try InboundGroupSession(libolmPickle: request.text("pickle"), key: request.bytes("key"))
            peer.inbound[try request.text("i")] = session
            return describe(session)
        },
        "ingroup_unpickle_vodozemac": { peer, request in
            let session = try InboundGroupSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key"))
            peer.inbound[try request.text("i")] = session
            return describe(session)
        },
        "account_dehydrate": { peer, request in
            let (key, random) = (SecretBytes(try request.bytes("key"), placement: .pooled), peer.random)
            return try changing(&peer.accounts, request, "a") { account in
                let device = try DehydratedDevice(account, key: key, random: random)
                return ["pickle": .base64(device.pickle), "nonce": .base64(device.nonce)]
            }
        },
        "account_rehydrate": { peer, request in
            let device = DehydratedDevice(pickle: try request.bytes("pickle"), nonce: try request.bytes("nonce"))
            let key = SecretBytes(try request.bytes("key"), placement: .pooled)
            return try keep(device.account(key: key), in: &peer, request)
        },
    ]

    private static func keep(_ account: OlmAccount, in peer: inout Peer, _ request: PeerRequest) throws -> Reply {
        peer.accounts[try request.text("a")] = account
        return keys(account)
    }

    private static func keep(_ session: OlmSession, in peer: inout Peer, _ request: PeerRequest) throws -> Reply {
        peer.sessions[try request.text("s")] = session
        return ["session_id": .string(session.id)]
    }
}
