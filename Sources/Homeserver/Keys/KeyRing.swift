internal import Cryptography
internal import Federation
internal import HomeserverStorage
internal import Logging
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase
internal import Synchronization

/// The signing keys of other servers: remembered, else in the database, else asked of the server itself, else of notaries.
/// Spec: <https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys>
final class KeyRing: Sendable {
    /// For what a key is wanted.
    enum Purpose: Sendable, Hashable {
        /// To check a request that is made now.
        case request
        /// To check an event of this time (milliseconds since 1970). With `enforced`, the key must have been valid then
        /// (room versions from 5); without, any key the server ever had will do.
        case event(at: Int64, enforced: Bool)
    }

    typealias Keys = [String: ServerKeyStore.Key]

    /// Servers whose keys are remembered.
    private static let maximumServers = 10_000
    /// A server that was asked is not asked again sooner.
    private static let pause = Duration.seconds(30)
    /// Servers that are asked at once; more are left unasked, so that invented names cost no more than that.
    private static let maximumAsked = 500
    /// Spec: validity is never trusted further ahead than seven days, counted from when the key was fetched.
    private static let maximumValidity: Int64 = 7 * 86_400_000

    private let environment: Environment
    private let client: FederationClient
    private let known = Mutex<[ServerName: Keys]>([:])
    private let asked = Mutex<[ServerName: Duration]>([:])
    private let waiting = Mutex<[ServerName: [CheckedContinuation<Turn, Never>]]>([:])

    init(_ environment: Environment, client: FederationClient) {
        self.environment = environment
        self.client = client
    }

    /// The key of a server, if it may be used for that purpose.
    func key(_ keyID: String, of server: ServerName, for purpose: Purpose) async -> Ed25519.PublicKey? {
        if server == environment.serverName { return ownKey(keyID, for: purpose) }
        if let key = await stored(server)[keyID], isUsable(key, for: purpose) { return try? .init(key.publicKey) }
        // Another node may have learned it.
        if let key = await reread(server)[keyID], isUsable(key, for: purpose) { return try? .init(key.publicKey) }
        // One asks, the others that come meanwhile wait for what it learns.
        switch await enter(server) {
        case .asks:
            defer { leave(server) }
            if mayAsk(server) {
                let minimum = if case .event(let time, true) = purpose { time } else { environment.clock.now() }
                await fetch(server, keyID: keyID, minimumValidUntil: minimum)
            }
        case .waited: break
        case .refused: return nil
        }
        guard let key = await stored(server)[keyID], isUsable(key, for: purpose) else { return nil }
        return try? .init(key.publicKey)
    }

    private func isUsable(_ key: ServerKeyStore.Key, for purpose: Purpose) -> Bool {
        switch purpose {
        case .request:
            let now = environment.clock.now()
            return key.expired == nil && key.validUntil >= now
        case .event(_, false): return true
        case .event(let time, true):
            return time <= key.expired ?? key.validUntil
        }
    }

    private func ownKey(_ keyID: String, for purpose: Purpose) -> Ed25519.PublicKey? {
        let keys = environment.signingKeys
        if keys.keyID == keyID { return keys.current.publicKey }
        guard case .event(let time, let enforced) = purpose,
            let old = keys.retired.first(where: { $0.keyID == keyID }), !enforced || time <= old.expired
        else { return nil }
        return old.publicKey
    }

    private func stored(_ server: ServerName) async -> Keys {
        if let known = known.withLock({ $0[server] }) { return known }
        return await reread(server)
    }

    private func reread(_ server: ServerName) async -> Keys {
        let rows = try? await environment.database.read { try ServerKeyStore($0).keys(of: server.text) }
        let keys = Dictionary((rows ?? []).map { ($0.keyID, $0) }, uniquingKeysWith: { $1 })
        if !keys.isEmpty { remember(keys, of: server) }
        return keys
    }

    private func remember(_ keys: Keys, of server: ServerName) {
        known.withLock { known in
            if known.count >= Self.maximumServers { known.removeAll(keepingCapacity: true) }
            known[server] = keys
        }
    }

    private enum Turn: Sendable {
        case asks
        /// Another had the turn, and it is over.
        case waited
        /// Too many are asked at once.
        case refused
    }

    /// Takes the turn to ask a server, or waits for another's to end.
    private func enter(_ server: ServerName) async -> Turn {
        await withCheckedContinuation { continuation in
            let turn: Turn? = waiting.withLock { waiting in
                if waiting[server] != nil {
                    waiting[server]?.append(continuation)
                    return nil
                }
                guard waiting.count < Self.maximumAsked else { return .refused }
                waiting[server] = []
                return .asks
            }
            if let turn { continuation.resume(returning: turn) }
        }
    }

    private func leave(_ server: ServerName) {
        let others = waiting.withLock { $0.removeValue(forKey: server) } ?? []
        for other in others { other.resume(returning: .waited) }
    }

    /// Whether a server may be asked now; asking is noted.
    private func mayAsk(_ server: ServerName) -> Bool {
        let now = environment.clock.monotonic()
        return asked.withLock { asked in
            if let last = asked[server], now - last < Self.pause { return false }
            if asked.count >= Self.maximumServers { asked.removeAll(keepingCapacity: true) }
            asked[server] = now
            return true
        }
    }

    private func fetch(_ server: ServerName, keyID: String, minimumValidUntil: Int64) async {
        let timeout = Duration.milliseconds(environment.configuration.timeouts.keyFetch)
        do {
            let answer = try await client.json(
                APICall(.getServerKey), at: server, timeout: timeout, maximumBytes: ServerKeyAnswer.maximumBytes)
            if let keys = await accept(answer, from: server), keys[keyID] != nil { return }
        } catch {
            environment.logger.debug("server keys", metadata: ["server": "\(server)", "cause": "\(error)"])
        }
        let notaries = environment.configuration.federation.notaryTrustedServers
        // A notary's own keys it tells itself: else two that ask each other would wait for ever.
        guard !notaries.contains(server) else { return }
        for notary in notaries
        where notary != server && notary != environment.serverName {
            let call = APICall(
                .perspectivesKeyQuery, ["serverName": server.text],
                query: [("minimum_valid_until_ts", String(minimumValidUntil))])
            guard
                let answer = try? await client.json(
                    call, at: notary, timeout: timeout, maximumBytes: 4 * ServerKeyAnswer.maximumBytes)
            else { continue }
            for entry in (answer["server_keys"]?.elements ?? []).prefix(32)
            where entry["server_name"]?.string == server.text {
                guard await isSigned(entry, by: notary), let keys = await accept(entry, from: server) else { continue }
                if keys[keyID] != nil { return }
            }
        }
    }

    /// Whether a notary signed an answer, by a key of its own that it publishes itself.
    private func isSigned(_ answer: JSONView, by notary: ServerName) async -> Bool {
        for keyID in SignedJSON.keyIDs(of: notary.text, in: answer).prefix(8) {
            if let key = await key(keyID, of: notary, for: .request),
                SignedJSON.verify(answer, entity: notary.text, keyID: keyID, key: key)
            {
                return true
            }
        }
        return false
    }

    /// Checks a key answer, keeps it, and gives all that is known of the server now.
    func accept(_ answer: JSONView, from server: ServerName) async -> Keys? {
        guard let read = ServerKeyAnswer(answer, of: server) else { return nil }
        let now = environment.clock.now()
        let body = Array(answer.rawBytes)
        let trusted = read.keys.map { key in
            var key = key
            key.validUntil = min(key.validUntil, now + Self.maximumValidity)
            key.expired = key.expired.map { min($0, now) }
            return key
        }
        let keys = try? await environment.database.write { connection in
            let store = ServerKeyStore(connection)
            try store.save(trusted, of: server.text, now: now)
            try store.save(answer: body, of: server.text, validUntil: read.validUntil, now: now)
            return try store.keys(of: server.text)
        }
        guard let keys else { return nil }
        let all = Dictionary(keys.map { ($0.keyID, $0) }, uniquingKeysWith: { $1 })
        remember(all, of: server)
        return all
    }
}
