internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// What this server speaks and what its users may do.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation>
struct VersionTelling: RouteGroup {
    let environment: Environment

    /// The versions served whole, but for modules that a server may leave out: application services, third-party identifiers,
    /// single sign-on and OAuth 2.0 (`spec/accounts.md`).
    static let versions = (1...19).map { "v1.\($0)" }
    /// Proposals whose unstable names work, or that are part of a later version and work.
    static let unstableFeatures: [String: JSONValue] = [
        "uk.tcpip.msc4133.stable": true, "org.matrix.msc4140": true, "org.matrix.msc4143": true,
        "org.matrix.msc4354": true, "org.matrix.simplified_msc3575": true, "org.matrix.msc3881": true,
        "org.matrix.msc3874": true, "org.matrix.msc3981": true, "org.matrix.msc4380.stable": true,
        "org.matrix.msc4028": true, "org.matrix.msc4306": true,
        "uk.half-shot.msc2666.query_mutual_rooms.stable": true,
    ]

    func register(on router: inout Router) {
        router.onOptional(.getVersions) { _, _ in
            .json([
                "versions": .array(Self.versions.map { .string($0) }),
                "unstable_features": .object(Self.unstableFeatures),
            ])
        }
        router.on(.getCapabilities, tellCapabilities)
    }

    @Sendable private func tellCapabilities(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        var available: [String: JSONValue] = [:]
        for version in RoomVersion.all { available[version.text] = "stable" }
        let yes: JSONValue = ["enabled": true]
        let no: JSONValue = ["enabled": false]
        let profiles = environment.configuration.profiles
        var capabilities: [String: JSONValue] = [
            "m.change_password": .object(["enabled": .bool(!requester.isGuest)]),
            "m.room_versions": [
                "default": .string(environment.configuration.rooms.defaultVersion.text),
                "available": .object(available),
            ],
            // Deprecated, but must be there where the fields are not to be changed.
            "m.set_displayname": profiles.mayChange("displayname") ? yes : no,
            "m.set_avatar_url": profiles.mayChange("avatar_url") ? yes : no,
            "m.profile_fields": Self.profileFields(profiles),
            "m.3pid_changes": no, "m.get_login_token": yes, "m.forget_forced_upon_leave": no,
        ]
        capabilities["org.matrix.msc4140.delayed_events"] = [
            "max_delay_ms": .integer(environment.configuration.timeouts.delayedEventMaximum),
            "max_scheduled": .integer(Int64(environment.configuration.limits.delayedEventsPerUser)),
        ]
        if requester.isAdmin { capabilities["m.account_moderation"] = ["suspend": true, "lock": true] }
        return .json(["capabilities": .object(capabilities)])
    }

    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mprofile_fields-capability>
    private static func profileFields(_ profiles: HomeserverConfiguration.Profiles) -> JSONValue {
        func list(_ fields: [String]) -> JSONValue? {
            fields.isEmpty ? nil : .array(fields.map { .string($0) })
        }
        guard profiles.areEditable else { return ["enabled": false] }
        return .fields([
            "enabled": true, "allowed": list(profiles.allowedFields),
            "disallowed": profiles.allowedFields.isEmpty ? list(profiles.disallowedFields) : nil,
        ])
    }
}
