internal import Cryptography
internal import MatrixModel
internal import PostQuantum
internal import Ratchet

extension Peer {
    /// The hybrid of X25519 and ML-KEM-768: keys are called by `h`, sessions by `s`.
    static let hybridOperations: [String: Operation] = [
        "hybrid_keys": { peer, request in
            var keys = EncapsulationKeys()
            try keys.generateOneTimeKeys(request.integer("n"), random: peer.random)
            peer.encapsulationKeys[try request.text("h")] = keys
            return ["one_time_keys": .array(keys.unpublishedOneTimeKeys.map { .base64($0.publicKey) })]
        },
        "hybrid_outbound": { peer, request in
            let (identityKey, oneTimeKey) = (try request.curveKey("identity_key"), try request.curveKey("one_time_key"))
            let (key, random) = (try request.bytes("encapsulation_key"), peer.random)
            let session = try changing(&peer.accounts, request, "a") { account in
                try HybridSession(
                    account: account, identityKey: identityKey, oneTimeKey: oneTimeKey, encapsulationKey: key,
                    random: random)
            }
            peer.hybridSessions[try request.text("s")] = session
            return ["session_id": .string(session.id)]
        },
        "hybrid_inbound": { peer, request in
            let message = try HybridPreKeyMessage(request.bytes("body"))
            let identityKey = try request.curveKey("identity_key")
            let name = try request.text("h")
            guard var keys = peer.encapsulationKeys[name] else { throw PeerError.bad("no h called \(name)") }
            let (session, plaintext) = try changing(&peer.accounts, request, "a") { account in
                try keys.inboundSession(of: &account, identityKey: identityKey, preKeyMessage: message)
            }
            peer.encapsulationKeys[name] = keys
            peer.hybridSessions[try request.text("s")] = session
            return ["session_id": .string(session.id), "plaintext": .base64(plaintext)]
        },
        "hybrid_encrypt": { peer, request in
            let (plaintext, random) = (try request.bytes("plaintext"), peer.random)
            let message = try changing(&peer.hybridSessions, request, "s") { try $0.encrypt(plaintext, random: random) }
            return ["type": .integer(Int64(message.type.rawValue)), "body": .base64(message.bytes)]
        },
        "hybrid_decrypt": { peer, request in
            guard let type = OlmMessage.Kind(rawValue: try request.integer("type")) else {
                throw PeerError.bad("type is neither 0 nor 1")
            }
            let message = OlmMessage(type: type, bytes: try request.bytes("body"))
            return ["plaintext": .base64(try changing(&peer.hybridSessions, request, "s") { try $0.decrypt(message) })]
        },
    ]
}
