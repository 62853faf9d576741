public import MatrixModel

/// What an operator says of accounts beyond numbers and switches.
extension HomeserverConfiguration {
    /// A document that new users must agree to.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#terms-of-service-at-registration>
    public struct Policy: Sendable, Hashable {
        /// The document in one language.
        public struct Text: Sendable, Hashable {
            public var name: String
            public var url: String

            public init(name: String, url: String) {
                self.name = name
                self.url = url
            }
        }

        /// Names the document to clients, such as `terms_of_service`.
        public var id: String
        public var version: String
        /// By language.
        public var texts: [String: Text]

        public init(id: String, version: String, texts: [String: Text]) {
            self.id = id
            self.version = version
            self.texts = texts
        }
    }

    /// Whom to ask for help.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>
    public struct Support: Sendable {
        /// A person, or several behind one address.
        public struct Contact: Sendable, Hashable {
            /// `m.role.admin`, `m.role.security`, or another namespaced name.
            public var role: String
            public var user: UserID?
            public var email: String?

            public init(role: String, user: UserID? = nil, email: String? = nil) {
                self.role = role
                self.user = user
                self.email = email
            }
        }

        public var contacts: [Contact] = []
        public var page: String?
        public init() {}
    }

    /// What users may change of their profiles.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mprofile_fields-capability>
    public struct Profiles: Sendable {
        public var areEditable = true
        /// Empty: all but the disallowed.
        public var allowedFields: [String] = []
        public var disallowedFields: [String] = []
        public init() {}

        /// Whether a user may set and remove a field.
        public func mayChange(_ field: String) -> Bool {
            guard areEditable else { return false }
            return allowedFields.isEmpty ? !disallowedFields.contains(field) : allowedFields.contains(field)
        }
    }
}
