internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    static let sessionOperations: [String: Operation] = [
        "session_outbound": { peer, request in
            let (name, random) = (try request.text("s"), peer.random)
            let (identityKey, oneTimeKey) = (try request.curveKey("identity_key"), try request.curveKey("one_time_key"))
            let form = try request.form()
            let session = try changing(&peer.accounts, request, "a") { account in
                try account.outboundSession(
                    identityKey: identityKey, oneTimeKey: oneTimeKey, form: form, random: random)
            }
            peer.sessions[name] = session
            return ["session_id": .string(session.id)]
        },
        "session_inbound": { peer, request in
            let name = try request.text("s")
            let identityKey = try request.curveKey("identity_key")
            let message = try PreKeyMessage(request.bytes("body"))
            let (session, plaintext) = try changing(&peer.accounts, request, "a") { account in
                try account.inboundSession(identityKey: identityKey, preKeyMessage: message)
            }
            peer.sessions[name] = session
            return ["session_id": .string(session.id), "plaintext": .base64(plaintext)]
        },
        "session_id": { peer, request in
            try changing(&peer.sessions, request, "s") { ["session_id": .string($0.id)] }
        },
        "session_matches": { peer, request in
            let message = try PreKeyMessage(request.bytes("body"))
            return try changing(&peer.sessions, request, "s") { ["matches": .bool($0.matches(message))] }
        },
        "session_encrypt": { peer, request in
            let (plaintext, random) = (try request.bytes("plaintext"), peer.random)
            let message = try changing(&peer.sessions, request, "s") { try $0.encrypt(plaintext, random: random) }
            return ["type": .integer(Int64(message.type.rawValue)), "body": .base64(message.bytes)]
        },
        "session_decrypt": { peer, request in
            guard let type = OlmMessage.Kind(rawValue: try request.integer("type")) else {
                throw PeerError.bad("type is neither 0 nor 1")
            }
            let message = OlmMessage(type: type, bytes: try request.bytes("body"))
            return ["plaintext": .base64(try changing(&peer.sessions, request, "s") { try $0.decrypt(message) })]
        },
        "session_pickle": { peer, request in
            let (key, random) = (try request.bytes("key"), peer.random)
            return try changing(&peer.sessions, request, "s") { session in
                ["pickle": .base64(try session.pickle(key: key, random: random))]
            }
        },
        "session_unpickle": { peer, request in
            try peer.keep(OlmSession(pickle: request.bytes("pickle"), key: request.bytes("key")), request)
        },
    ]

    /// Keeps the session by the name that the request gives it.
    mutating func keep(_ session: OlmSession, _ request: PeerRequest) throws -> Reply {
        sessions[try request.text("s")] = session
        return ["session_id": .string(session.id)]
    }
}
