internal import Cryptography
internal import MatrixAPI
internal import MatrixModel

/// What tells clients and servers where this server is and what it runs.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#well-known-uris>
public struct WellKnownRoutes: RouteGroup {
    private let environment: Environment
    private let version: String

    /// - Parameter version: this program's, as `/_matrix/federation/v1/version` tells it.
    public init(environment: Environment, version: String) {
        self.environment = environment
        self.version = version
    }

    public func register(on router: inout Router) {
        let none = MatrixError(.notFound, "There is none")
        router.onPublic(.getWellknown) { _ in
            var base = environment.configuration.publicBaseURL
            while base.hasSuffix("/") { base.removeLast() }
            var told: JSONValue = ["m.homeserver": ["base_url": .string(base)]]
            let transports = environment.configuration.rtc.transports
            if !transports.isEmpty { told["org.matrix.msc4143.rtc_foci"] = .array(transports) }
            return .json(told)
        }
        router.onPublic(.getWellKnown) { _ in
            guard environment.configuration.federation.isEnabled,
                let address = WebAddress(environment.configuration.publicBaseURL), address.scheme == "https"
            else { throw none }  // Servers speak TLS: where clients do not, nobody can say where servers go.
            return .json(["m.server": .string(address.authority)])
        }
        router.onPublic(.getWellknownSupport) { _ in
            guard let support = Self.support(environment.configuration.support) else { throw none }
            return .json(support)
        }
        router.onPublic(.getWellknownPolicy) { _ in
            guard let key = environment.policyServerKey?.publicKey else { throw none }
            return .json(["public_keys": ["ed25519": .string(Base64.encode(key.bytes, .standardUnpadded))]])
        }
        router.onPublic(.getVersion) { _ in
            .json(["server": ["name": "Fedchat", "version": .string(version)]])
        }
    }

    /// Whom to ask for help; nil when nobody is named.
    private static func support(_ support: HomeserverConfiguration.Support) -> JSONValue? {
        guard !support.contacts.isEmpty || support.page != nil else { return nil }
        let contacts = support.contacts.map { contact -> JSONValue in
            .fields([
                "role": .string(contact.role), "matrix_id": contact.user.map { .string($0.text) },
                "email_address": contact.email.map { .string($0) },
            ])
        }
        return .fields([
            "contacts": contacts.isEmpty ? nil : .array(contacts), "support_page": support.page.map { .string($0) },
        ])
    }
}
