internal import Cryptography
internal import MatrixModel
internal import Ratchet

extension Peer {
    /// Backup, files, key files, recovery keys and secret storage.
    static let storageOperations: [String: Operation] = [
        "pk_new": { peer, request in
            let key = BackupKey.generate(peer.random)
            peer.backups[try request.text("p")] = key
            return ["public_key": .base64(key.publicKey.bytes), "private_key": .base64(key.bytes)]
        },
        "pk_import": { peer, request in
            let key = try BackupKey(request.bytes("private_key"))
            peer.backups[try request.text("p")] = key
            return ["public_key": .base64(key.publicKey.bytes)]
        },
        "pk_encrypt": { peer, request in
            let sealed = try BackupKey.seal(
                request.bytes("plaintext"), for: request.curveKey("public_key"), random: peer.random)
            return [
                "ciphertext": .base64(sealed.ciphertext), "mac": .base64(sealed.mac),
                "ephemeral": .base64(sealed.ephemeral),
            ]
        },
        "pk_decrypt": { peer, request in
            let sealed = BackupKey.Sealed(
                ephemeral: try request.bytes("ephemeral"), ciphertext: try request.bytes("ciphertext"),
                mac: try request.bytes("mac"))
            return ["plaintext": .base64(try changing(&peer.backups, request, "p") { try $0.open(sealed) })]
        },
        "file_encrypt": { peer, request in
            let (ciphertext, key) = try AttachmentCipher.encrypt(request.bytes("plaintext"), random: peer.random)
            return ["ciphertext": .base64(ciphertext), "info": file(key)]
        },
        "file_decrypt": { _, request in
            let info = request.fields["info"] ?? .null
            guard let key = info["key"]?["k"]?.string.flatMap({ Base64.decode($0) }),
                let iv = info["iv"]?.string.flatMap({ Base64.decode($0) }),
                let hash = info["hashes"]?["sha256"]?.string.flatMap({ Base64.decode($0) })
            else { throw PeerError.bad("info is not a file object") }
            let plaintext = try AttachmentCipher.decrypt(
                request.bytes("ciphertext"), with: .init(key: key, iv: iv, sha256: hash))
            return ["plaintext": .base64(plaintext)]
        },
        "keyfile_export": { peer, request in
            let rounds = request.fields["rounds"] == nil ? KeyExport.standardRounds : try request.integer("rounds")
            let file = try KeyExport.seal(
                request.bytes("plaintext"), passphrase: request.text("passphrase"), rounds: rounds, random: peer.random)
            return ["file": .string(file)]
        },
        "keyfile_import": { _, request in
            let plaintext = try KeyExport.open(request.text("file"), passphrase: request.text("passphrase"))
            return ["plaintext": .base64(plaintext)]
        },
        "recovery_key_encode": { _, request in
            ["recovery_key": .string(try RecoveryKey.encode(request.bytes("key")))]
        },
        "recovery_key_decode": { _, request in
            ["key": .base64(try RecoveryKey.decode(request.text("recovery_key")))]
        },
        "ssss_encrypt": { peer, request in
            let text = Array(Base64.encode(try request.bytes("plaintext")).utf8)
            let sealed = try SecretStorageKey(request.bytes("key")).seal(
                text, name: request.text("name"), random: peer.random)
            return [
                "ciphertext": .base64(sealed.ciphertext), "iv": .base64(sealed.iv), "mac": .base64(sealed.mac),
            ]
        },
        "ssss_decrypt": { _, request in
            let sealed = SecretStorageKey.Sealed(
                iv: try request.bytes("iv"), ciphertext: try request.bytes("ciphertext"), mac: try request.bytes("mac"))
            let text = try SecretStorageKey(request.bytes("key")).open(sealed, name: request.text("name"))
            guard let plaintext = Base64.decode(text) else { throw PeerError.bad("the secret is not base64") }
            return ["plaintext": .base64(plaintext)]
        },
        "ssss_passphrase": { _, request in
            let key = try SecretStorageKey(
                passphrase: request.text("passphrase"), salt: request.text("salt"),
                iterations: request.integer("iterations"))
            return ["key": .base64(key.bytes)]
        },
    ]

    private static func file(_ key: AttachmentCipher.Key) -> JSONValue {
        [
            "v": "v2", "iv": .base64(key.iv), "hashes": ["sha256": .base64(key.sha256)],
            "key": [
                "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"],
                "k": .string(Base64.encode(key.key, .urlSafeUnpadded)),
            ],
        ]
    }
}
