import Cryptography
import HTTPMessages
import MatrixModel
import Synchronization

@testable import PostQuantum
@testable import Ratchet

/// All ciphertexts that a device has sent.
final class Wires: Sendable {
    private struct State {
        /// The ciphertexts under each message key.
        var texts: [String: Set<[UInt8]>] = [:]
        var events = 0
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.texts.count } }
    var events: Int { state.withLock { $0.events } }
    var reusedKeys: [String] { state.withLock { $0.texts.filter { $0.value.count > 1 }.map(\.key) } }

    func note(_ request: ClientRequest) {
        guard let body = try? JSONValue.parse(request.body) else { return }
        if request.pathAndQuery.contains("/send/m.room.encrypted") {
            guard let session = body["session_id"]?.string,
                let bytes = body["ciphertext"]?.string.flatMap({ Base64.decode($0) }),
                let message = try? MegolmMessage(bytes)
            else { return }
            state.withLock {
                $0.events += 1
                $0.texts["\(session) \(message.index)", default: []].insert(bytes)
            }
        }
        guard request.pathAndQuery.contains("/sendToDevice/m.room.encrypted") else { return }
        for (_, devices) in body["messages"]?.members ?? [] {
            for (_, content) in devices.members {
                let isHybrid = content["algorithm"]?.string == HybridAlgorithm.name
                for (_, message) in content["ciphertext"]?.members ?? [] { noteOlm(message, isHybrid: isHybrid) }
            }
        }
    }

    private func noteOlm(_ message: JSONValue, isHybrid: Bool) {
        guard let bytes = message["body"]?.string.flatMap({ Base64.decode($0) }) else { return }
        var inner: ArraySlice<UInt8>? = bytes[...]
        if message["type"]?.integer == 0 {
            let opening = isHybrid ? (try? HybridPreKeyMessage(bytes))?.inner : try? PreKeyMessage(bytes)
            inner = opening?.message
        }
        guard let inner, let parsed = try? NormalMessage(parsing: inner) else { return }
        let name = "\(Base64.encode(parsed.ratchetKey.bytes)) \(parsed.index)"
        state.withLock { _ = $0.texts[name, default: []].insert(Array(inner)) }
    }
}
