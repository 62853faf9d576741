internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    /// Pickles of other libraries, and dehydrated devices.
    static let migrationOperations: [String: Operation] = [
        "account_unpickle_libolm": { peer, request in
            try peer.keep(OlmAccount(libolmPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "account_unpickle_vodozemac": { peer, request in
            try peer.keep(OlmAccount(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "session_unpickle_libolm": { peer, request in
            try peer.keep(OlmSession(libolmPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "session_unpickle_vodozemac": { peer, request in
            try peer.keep(OlmSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "group_unpickle_libolm": { peer, request in
            try peer.keep(
                OutboundGroupSession(libolmPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "group_unpickle_vodozemac": { peer, request in
            try peer.keep(
                OutboundGroupSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "ingroup_unpickle_libolm": { peer, request in
            try peer.keep(InboundGroupSession(libolmPickle: request.text("pickle"), key: request.bytes("key")), request)
        },
        "ingroup_unpickle_vodozemac": { peer, request in
            try peer.keep(
                InboundGroupSession(vodozemacPickle: request.text("pickle"), key: request.bytes("key")), request)
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
            return try peer.keep(device.account(key: key), request)
        },
    ]
}
