internal import Cryptography
internal import HTTPMessages
internal import HTTPTypes
internal import MatrixAPI
internal import MatrixModel

/// An identity server, as a homeserver asks it in the name of a user who has an access token for it.
/// Spec: <https://spec.matrix.org/v1.19/identity-service-api/>
struct IdentityServer: Sendable {
    private static let maximumBytes = 1 << 20
    private static let base = "/_matrix/identity/v2/"

    let name: ServerName
    let token: String
    let environment: Environment

    /// What an identity server keeps of an invite to an address.
    struct StoredInvite: Sendable {
        var token: String
        var displayName: String
        var publicKeys: [JSONValue]
    }

    /// Whose address it is; nil where nobody has bound it.
    /// Spec: <https://spec.matrix.org/v1.19/identity-service-api/#association-lookup>
    /// - Throws: `MatrixError`.
    func owner(of address: String, medium: String) async throws -> UserID? {
        let details = try await ask(.get, "hash_details")
        guard let pepper = details["lookup_pepper"]?.string else { throw Self.odd }
        guard details["algorithms"]?.elements.contains("sha256") == true else {
            throw MatrixError(.unknown, "The identity server does not look addresses up by their hash")
        }
        let hash = Base64.encode(SHA256.hash(Array("\(address) \(medium) \(pepper)".utf8)), .urlSafeUnpadded)
        let answer = try await ask(
            .post, "lookup", ["addresses": [.string(hash)], "algorithm": "sha256", "pepper": .string(pepper)])
        guard let found = answer["mappings"]?[hash] else { return nil }
        guard let user = found.string.flatMap({ try? UserID($0) }) else { throw Self.odd }
        return user
    }

    /// Has an invite kept, and told to the address.
    /// Spec: <https://spec.matrix.org/v1.19/identity-service-api/#invitation-storage>
    /// - Throws: `MatrixError`.
    func store(_ invite: JSONValue) async throws -> StoredInvite {
        let answer = try await ask(.post, "store-invite", invite)
        let keys = answer["public_keys"]?.elements ?? []
        guard let token = answer["token"]?.string, (1...EventLimits.fieldBytes).contains(token.utf8.count),
            let name = answer["display_name"]?.string, !keys.isEmpty, keys.count <= 20,
            keys.allSatisfy({ $0["public_key"]?.string != nil })
        else { throw Self.odd }
        return StoredInvite(token: token, displayName: name, publicKeys: keys)
    }

    private static let odd = MatrixError(.unknown, "The identity server's answer cannot be read")

    private func ask(_ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil) async throws -> JSONValue {
        let outbound = environment.configuration.outbound
        var request = ClientRequest(
            method: method, host: name.host, port: name.port ?? 443, pathAndQuery: Self.base + path,
            fields: [.authorization: "Bearer \(token)"], body: body?.serialized() ?? [],
            timeout: .milliseconds(environment.configuration.timeouts.identityServer),
            maximumResponseBytes: Self.maximumBytes, allowPrivateAddresses: outbound.allowPrivateAddresses,
            verifyTLS: outbound.verifyTLS)
        if body != nil { request.fields[.contentType] = "application/json" }
        let response: ClientResponse
        do { response = try await environment.httpClient.send(request) } catch {
            throw MatrixError(.unknown, "The identity server cannot be reached")
        }
        switch response.status {
        case 200: break
        case 401, 403: throw MatrixError(.forbidden, "The identity server does not accept the access token")
        default: throw MatrixError(.unknown, "The identity server answered \(response.status)")
        }
        guard let answer = try? JSONValue.parse(response.body), answer.object != nil else { throw Self.odd }
        return answer
    }
}
