internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    static let sasOperations: [String: Operation] = [
        "sas_new": { peer, request in
            let sas = SAS(random: peer.random)
            peer.verifications[try request.text("x")] = sas
            return ["public_key": .base64(sas.publicKey.bytes)]
        },
        "sas_dh": { peer, request in
            let (name, key) = (try request.text("x"), try request.curveKey("public_key"))
            peer.established[name] = try changing(&peer.verifications, request, "x") { try $0.established(with: key) }
            return [:]
        },
        "sas_code": { peer, request in
            let info = try request.text("info")
            let code = try changing(&peer.established, request, "x") { $0.code(info: info) }
            return [
                "emoji": .array(code.emojiNumbers.map { .integer(Int64($0)) }),
                "decimal": .array(code.decimals.map { .integer(Int64($0)) }),
            ]
        },
        "sas_mac": { peer, request in
            let (input, info) = (try request.text("input"), try request.text("info"))
            return try changing(&peer.established, request, "x") { ["mac": .string($0.mac(of: input, info: info))] }
        },
        "sas_mac_v1": { peer, request in
            let (input, info) = (try request.text("input"), try request.text("info"))
            return try changing(&peer.established, request, "x") { sas in
                ["mac": .string(sas.legacyMAC(of: input, info: info))]
            }
        },
    ]
}
