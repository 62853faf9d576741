internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// What this server speaks and what its users may do.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation>
struct VersionTelling: RouteGroup {
    let environment: Environment

    /// The versions served whole.
    static let versions = (1...12).map { "v1.\($0)" }
    /// Proposals whose unstable names work, or that are part of a later version and work.
    static let unstableFeatures: [String: JSONValue] = [
        "uk.tcpip.msc4133.stable": true, "org.matrix.msc4140": true, "org.matrix.msc4143": true,
        "org.matrix.msc4354": true,
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
        var capabilities: [String: JSONValue] = [
            "m.change_password": .object(["enabled": .bool(!requester.isGuest)]),
            "m.room_versions": [
                "default": .string(environment.configuration.rooms.defaultVersion.text),
                "available": .object(available),
            ],
            "m.set_displayname": yes, "m.set_avatar_url": yes, "m.profile_fields": yes,
            "m.3pid_changes": ["enabled": false], "m.get_login_token": yes,
        ]
        capabilities["org.matrix.msc4140.delayed_events"] = [
            "max_delay_ms": .integer(environment.configuration.timeouts.delayedEventMaximum),
            "max_scheduled": .integer(Int64(environment.configuration.limits.delayedEventsPerUser)),
        ]
        if requester.isAdmin { capabilities["m.account_moderation"] = ["suspend": true, "lock": true] }
        return .json(["capabilities": .object(capabilities)])
    }
}
