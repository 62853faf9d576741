import Homeserver
import MatrixModel
import Yams

/// Keys of what an operator says of accounts in lists: documents, contacts, profile fields.
extension ConfigurationCatalogue {
    static var terms: [ConfigurationKey] {
        [
            ConfigurationKey(
                "registration.terms", "[]",
                "Documents new users must agree to: id, version, and languages, each with name and url."
            ) { c, s throws(Setting.Wrong) in
                var policies: [HomeserverConfiguration.Policy] = []
                for mapping in try s.mappings { policies.append(try policy(mapping)) }
                guard Set(policies.map(\.id)).count == policies.count else {
                    throw Setting.Wrong("expected another id for each document")
                }
                c.homeserver.registration.terms = policies
            }
        ]
    }

    static var profiles: [ConfigurationKey] {
        [
            flag("profiles.editable", \.profiles.areEditable, "Users may change their profiles."),
            list("profiles.allowed_fields", \.profiles.allowedFields, "Only these fields; none named: all."),
            list("profiles.disallowed_fields", \.profiles.disallowedFields, "All but these fields."),
        ]
    }

    static var support: [ConfigurationKey] {
        [
            ConfigurationKey(
                "support.contacts", "[]", "For /.well-known/matrix/support: role, and matrix_id or email_address."
            ) { c, s throws(Setting.Wrong) in
                var contacts: [HomeserverConfiguration.Support.Contact] = []
                for mapping in try s.mappings { contacts.append(try contact(mapping)) }
                c.homeserver.support.contacts = contacts
            },
            ConfigurationKey("support.support_page", nil, "A web page that helps users.") {
                c, s throws(Setting.Wrong) in c.homeserver.support.page = try webAddress(s.string)
            },
        ]
    }

    private static func policy(_ mapping: Node.Mapping) throws(Setting.Wrong) -> HomeserverConfiguration.Policy {
        var policy = HomeserverConfiguration.Policy(id: "", version: "", texts: [:])
        for (key, value) in mapping {
            switch key.string {
            case "id": policy.id = try name(value)
            case "version": policy.version = try name(value)
            case "languages":
                guard case .mapping(let languages) = value else { throw Setting.Wrong("languages: expected a mapping") }
                for (language, text) in languages { policy.texts[try name(language)] = try document(text) }
            default: throw Setting.Wrong("\(key.string ?? "?"): no such key of a document")
            }
        }
        guard !policy.id.isEmpty, !policy.version.isEmpty, !policy.texts.isEmpty, policy.texts["version"] == nil else {
            throw Setting.Wrong("a document has id, version and at least one of languages")
        }
        return policy
    }

    private static func document(_ node: Node) throws(Setting.Wrong) -> HomeserverConfiguration.Policy.Text {
        guard case .mapping(let mapping) = node else { throw Setting.Wrong("a language has name and url") }
        var text = HomeserverConfiguration.Policy.Text(name: "", url: "")
        for (key, value) in mapping {
            switch key.string {
            case "name": text.name = try name(value)
            case "url": text.url = try webAddress(Setting.node(value).string)
            default: throw Setting.Wrong("\(key.string ?? "?"): no such key of a language")
            }
        }
        guard !text.name.isEmpty, !text.url.isEmpty else { throw Setting.Wrong("a language has name and url") }
        return text
    }

    private static func contact(
        _ mapping: Node.Mapping
    ) throws(Setting.Wrong) -> HomeserverConfiguration.Support.Contact {
        var contact = HomeserverConfiguration.Support.Contact(role: "m.role.admin")
        for (key, value) in mapping {
            let text = try name(value)
            switch key.string {
            case "role": contact.role = text
            case "matrix_id":
                guard let user = try? UserID(text) else { throw Setting.Wrong("\(text) is no user id") }
                contact.user = user
            case "email_address":
                guard text.contains("@") else { throw Setting.Wrong("\(text) is no e-mail address") }
                contact.email = text
            default: throw Setting.Wrong("\(key.string ?? "?"): no such key of a contact")
            }
        }
        guard contact.user != nil || contact.email != nil else {
            throw Setting.Wrong("a contact has matrix_id or email_address")
        }
        return contact
    }

    /// A short text: a name, a version, a language.
    private static func name(_ node: Node) throws(Setting.Wrong) -> String {
        let text = try Setting.node(node).string
        guard (1...255).contains(text.utf8.count) else { throw Setting.Wrong("expected a text of at most 255 bytes") }
        return text
    }

    private static func webAddress(_ text: String) throws(Setting.Wrong) -> String {
        guard text.hasPrefix("https://") || text.hasPrefix("http://"), text.utf8.count < 2048 else {
            throw Setting.Wrong("expected a URL that starts with https:// or http://")
        }
        return text
    }
}
