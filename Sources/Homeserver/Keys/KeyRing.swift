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

    /// For whom a server is asked. Each has places and pauses of its own, so that the one takes nothing from the other.
    enum Asker: Sendable, Hashable {
        /// Ourselves: what federation brings is to be checked.
        case ourselves
        /// Somebody who asks us as a notary.
        case stranger
    }

    typealias Keys = [String: ServerKeyStore.Key]

    /// Servers whose keys are remembered.
    private static let maximumServers = 10_000
    /// A server that was asked is not asked again sooner.
    private static let pause = Duration.seconds(30)
    /// Servers that are asked at once for ourselves; more are left unasked, so that invented names cost no more than that.
    static let maximumAsked = 500
    /// Of these, how many may be servers to which nothing was ever sent: anybody can name such a one.
    static let maximumUnknownAsked = 300
    /// Servers that are asked at once for those who ask us as a notary.
    static let maximumAskedForStrangers = 64

    private let environment: Environment
    private let client: FederationClient
    private let known = Mutex<[ServerName: Keys]>([:])
    private let asked = Mutex<[Question: Duration]>([:])
    private let asking = Mutex<[Question: Asking]>([:])

    init(_ environment: Environment, client: FederationClient) {
        self.environment = environment
        self.client = client
    }

    /// The key of a server, if it may be used for that purpose.
    func key(_ keyID: String, of server: ServerName, for purpose: Purpose) async -> Ed25519.PublicKey? {
        try? await key(keyID, of: server, for: purpose, admit: {})
    }

    /// The key of a server, for somebody who has not proved yet to be it.
    /// - Parameter admit: called before a server is asked, which it is not where this throws.
    func key(
        _ keyID: String, of server: ServerName, for purpose: Purpose, admit: () async throws -> Void
    ) async throws -> Ed25519.PublicKey? {
        if server == environment.serverName { return ownKey(keyID, for: purpose) }
        if let key = await stored(server)[keyID], isUsable(key, for: purpose) { return try? .init(key.publicKey) }
        // Another node may have learned it.
        if let key = await reread(server)[keyID], isUsable(key, for: purpose) { return try? .init(key.publicKey) }
        try await asOne(Question(server: server, asker: .ourselves), admit) {
            if await askItself(server)?[keyID] != nil { return }
            let minimum = if case .event(let time, true) = purpose { time } else { environment.clock.now() }
            await askNotaries(server, keyID: keyID, minimumValidUntil: minimum)
        }
        guard let key = await stored(server)[keyID], isUsable(key, for: purpose) else { return nil }
        return try? .init(key.publicKey)
    }

    /// Those of a server's keys that are known without asking anybody and may be used for that purpose, in the order given.
    func knownKeys(
        _ keyIDs: [String], of server: ServerName, for purpose: Purpose
    ) async -> [(id: String, key: Ed25519.PublicKey)] {
        let isOwn = server == environment.serverName
        let stored = isOwn || keyIDs.isEmpty ? [:] : await stored(server)
        return keyIDs.compactMap { id in
            if isOwn { return ownKey(id, for: purpose).map { (id, $0) } }
            guard let key = stored[id], isUsable(key, for: purpose) else { return nil }
            return (try? Ed25519.PublicKey(key.publicKey)).map { (id, $0) }
        }
    }

    /// Asks a server for its keys, for somebody who asks us as a notary, unless it was asked just now. Other notaries are not
    /// asked: they can be by whoever asks us.
    /// - Parameter admit: as above.
    func refresh(_ server: ServerName, admit: () async throws -> Void) async throws {
        guard server != environment.serverName else { return }
        try await asOne(Question(server: server, asker: .stranger), admit) { _ = await askItself(server) }
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

    // MARK: Who asks

    private struct Question: Sendable, Hashable {
        var server: ServerName
        var asker: Asker
    }

    /// A question that is being asked.
    private struct Asking {
        var isOfUnknown: Bool
        /// Those who wait for its end.
        var waiting: [CheckedContinuation<Turn, Never>] = []
    }

    private enum Turn: Sendable {
        case asks
        /// Another had the turn, and it is over; where it was not admitted, nothing was asked.
        case waited(wasAsked: Bool)
        /// Too many are asked at once.
        case refused
    }

    /// One asks, the others that come meanwhile wait for what it learns. Who waits is not counted by `admit`.
    private func asOne(_ question: Question, _ admit: () async throws -> Void, _ ask: () async -> Void) async throws {
        while true {
            // In this order: whoever has the turn notes first that it asks, and leaves when it has.
            guard mayAsk(question, noting: false) || asking.withLock({ $0[question] != nil }) else { return }
            switch await enter(question, isUnknown: await isUnknown(question.server)) {
            case .refused, .waited(wasAsked: true): return
            case .waited(wasAsked: false): continue
            case .asks: break
            }
            var wasAsked = true
            defer { leave(question, wasAsked: wasAsked) }
            guard mayAsk(question, noting: false) else { return }
            wasAsked = false
            try await admit()
            wasAsked = true
            if mayAsk(question, noting: true) { await ask() }
            return
        }
    }

    /// Whether nothing was ever sent to a server.
    private func isUnknown(_ server: ServerName) async -> Bool {
        let destination = try? await environment.database.read { try Outbox($0).destination(server.text) }
        return destination == nil
    }

    /// Takes the turn to ask a server, or waits for another's to end.
    private func enter(_ question: Question, isUnknown: Bool) async -> Turn {
        await withCheckedContinuation { continuation in
            let turn: Turn? = asking.withLock { asking in
                if asking[question] != nil {
                    asking[question]?.waiting.append(continuation)
                    return nil
                }
                let others = asking.filter { $0.key.asker == question.asker }
                switch question.asker {
                case .ourselves:
                    guard others.count < Self.maximumAsked else { return .refused }
                    let unknown = others.count { $0.value.isOfUnknown }
                    guard !isUnknown || unknown < Self.maximumUnknownAsked else { return .refused }
                case .stranger:
                    guard others.count < Self.maximumAskedForStrangers else { return .refused }
                }
                asking[question] = Asking(isOfUnknown: isUnknown)
                return .asks
            }
            if let turn { continuation.resume(returning: turn) }
        }
    }

    private func leave(_ question: Question, wasAsked: Bool) {
        let others = asking.withLock { $0.removeValue(forKey: question)?.waiting } ?? []
        for other in others { other.resume(returning: .waited(wasAsked: wasAsked)) }
    }

    /// Whether a server may be asked now; where `noting`, it is from now on.
    private func mayAsk(_ question: Question, noting: Bool) -> Bool {
        let now = environment.clock.monotonic()
        return asked.withLock { asked in
            if let last = asked[question], now - last < Self.pause { return false }
            guard noting else { return true }
            if asked.count >= Self.maximumServers { asked.removeAll(keepingCapacity: true) }
            asked[question] = now
            return true
        }
    }

    // MARK: Asking

    private var timeout: Duration { .milliseconds(environment.configuration.timeouts.keyFetch) }

    /// Gives all that is known of the server, if it gave an answer that holds.
    private func askItself(_ server: ServerName) async -> Keys? {
        do {
            let answer = try await client.json(
                APICall(.getServerKey), at: server, timeout: timeout, maximumBytes: ServerKeyAnswer.maximumBytes)
            return await accept(answer, of: server, isDirect: true)
        } catch {
            environment.logger.debug("server keys", metadata: ["server": "\(server)", "cause": "\(error)"])
            return nil
        }
    }

    private func askNotaries(_ server: ServerName, keyID: String, minimumValidUntil: Int64) async {
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
                guard await isSigned(entry, by: notary),
                    let keys = await accept(entry, of: server, isDirect: false)
                else { continue }
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
    /// - Parameter isDirect: whether the server gave it itself.
    private func accept(_ answer: JSONView, of server: ServerName, isDirect: Bool) async -> Keys? {
        guard let read = ServerKeyAnswer(answer, of: server) else { return nil }
        let now = environment.clock.now()
        let trusted = read.keys.map { key in
            var key = key
            key.validUntil = min(key.validUntil, now + ServerKeyStore.longestValidity)
            key.expired = key.expired.map { min($0, now) }
            return key
        }
        let news = ServerKeyStore.News(
            keys: trusted, body: Array(answer.rawBytes), validUntil: read.validUntil, isDirect: isDirect)
        let keys = try? await environment.database.write {
            try ServerKeyStore($0).take(news, of: server.text, now: now)
        }
        guard let keys else { return nil }
        let all = Dictionary(keys.map { ($0.keyID, $0) }, uniquingKeysWith: { $1 })
        remember(all, of: server)
        return all
    }
}
