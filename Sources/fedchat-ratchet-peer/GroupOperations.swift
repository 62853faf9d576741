internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    static let groupOperations: [String: Operation] = [
        "group_new": { peer, request in
            try peer.keep(OutboundGroupSession(random: peer.random, form: request.form()), request)
        },
        "group_info": { peer, request in try changing(&peer.outbound, request, "g") { describe($0) } },
        "group_encrypt": { peer, request in
            let plaintext = try request.bytes("plaintext")
            return try changing(&peer.outbound, request, "g") { session in
                let index = session.messageIndex
                return [
                    "message_index": .integer(Int64(index)), "ciphertext": .base64(try session.encrypt(plaintext)),
                ]
            }
        },
        "group_pickle": { peer, request in
            let (key, random) = (try request.bytes("key"), peer.random)
            return try changing(&peer.outbound, request, "g") { session in
                ["pickle": .base64(try session.pickle(key: key, random: random))]
            }
        },
        "group_unpickle": { peer, request in
            try peer.keep(OutboundGroupSession(pickle: request.bytes("pickle"), key: request.bytes("key")), request)
        },
    ]

    static let inboundGroupOperations: [String: Operation] = [
        "ingroup_new": { peer, request in
            try peer.keep(InboundGroupSession(sessionKey: request.bytes("session_key")), request)
        },
        "ingroup_import": { peer, request in
            try peer.keep(InboundGroupSession(exportedKey: request.bytes("exported_key")), request)
        },
        "ingroup_info": { peer, request in try changing(&peer.inbound, request, "i") { describe($0) } },
        "ingroup_decrypt": { peer, request in
            let ciphertext = try request.bytes("ciphertext")
            let decrypted = try changing(&peer.inbound, request, "i") { try $0.decrypt(ciphertext) }
            return [
                "plaintext": .base64(decrypted.plaintext), "message_index": .integer(Int64(decrypted.index)),
            ]
        },
        "ingroup_export": { peer, request in
            guard let index = UInt32(exactly: try request.integer("index")) else {
                throw PeerError.bad("index has 32 bits")
            }
            return try changing(&peer.inbound, request, "i") { session in
                ["exported_key": .base64(try session.exportedKey(at: index))]
            }
        },
        "ingroup_pickle": { peer, request in
            let (key, random) = (try request.bytes("key"), peer.random)
            return try changing(&peer.inbound, request, "i") { session in
                ["pickle": .base64(try session.pickle(key: key, random: random))]
            }
        },
        "ingroup_unpickle": { peer, request in
            try peer.keep(InboundGroupSession(pickle: request.bytes("pickle"), key: request.bytes("key")), request)
        },
    ]

    /// Keeps the session by the name that the request gives it.
    mutating func keep(_ session: OutboundGroupSession, _ request: PeerRequest) throws -> Reply {
        outbound[try request.text("g")] = session
        return Self.describe(session)
    }

    /// Keeps the session by the name that the request gives it.
    mutating func keep(_ session: InboundGroupSession, _ request: PeerRequest) throws -> Reply {
        inbound[try request.text("i")] = session
        return Self.describe(session)
    }

    private static func describe(_ session: OutboundGroupSession) -> Reply {
        [
            "session_id": .string(session.id), "message_index": .integer(Int64(session.messageIndex)),
            "session_key": .base64(session.sessionKey),
        ]
    }

    private static func describe(_ session: InboundGroupSession) -> Reply {
        ["session_id": .string(session.id), "first_known_index": .integer(Int64(session.firstKnownIndex))]
    }
}
