internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import MatrixRooms
internal import SQLDatabase

/// A user's push rules, kept as the account data `m.push_rules`.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#push-rules-api>
struct PushRuleEditing: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.getPushRules) { _, requester in .json(try await rules(of: requester.user).content) }
        router.on(.getPushRulesGlobal) { _, requester in .json(try await rules(of: requester.user).global) }
        router.on(.getPushRule) { request, requester in .json(try await rule(request, requester).json) }
        router.on(.isPushRuleEnabled) { request, requester in
            .json(["enabled": .bool(try await rule(request, requester).isEnabled)])
        }
        router.on(.getPushRuleActions) { request, requester in
            .json(["actions": .array(try await rule(request, requester).actions.map(\.json))])
        }
        router.on(.setPushRule, put)
        router.on(.deletePushRule) { request, requester in
            let (kind, id) = try Self.target(request)
            return try await change(requester) { rules throws(PushRuleError) in try rules.remove(kind, id) }
        }
        router.on(.setPushRuleEnabled) { request, requester in
            let (kind, id) = try Self.target(request)
            guard let isEnabled = try request.optionalBoolean("enabled") else {
                throw MatrixError(.missingParameter, "Missing enabled")
            }
            return try await change(requester) { rules throws(PushRuleError) in
                try rules.setEnabled(kind, id, isEnabled)
            }
        }
        router.on(.setPushRuleActions) { request, requester in
            let (kind, id) = try Self.target(request)
            guard let actions = try request.optionalArray("actions") else {
                throw MatrixError(.missingParameter, "Missing actions")
            }
            let list = JSONValue.array(actions.map(\.value))
            return try await change(requester) { rules throws(PushRuleError) in
                try rules.setActions(kind, id, list)
            }
        }
    }

    @Sendable private func put(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let (kind, id) = try Self.target(request)
        let rule: PushRule
        do throws(PushRuleError) {
            rule = try PushRule(kind, id: id, request.body.value)
        } catch {
            throw Self.answer(error)
        }
        let before = request.query("before")
        let after = request.query("after")
        return try await change(requester) { rules throws(PushRuleError) in
            try rules.put(rule, before: before, after: after)
        }
    }

    private func rules(of user: UserID) async throws -> PushRuleset {
        try await environment.database.read { [sealer = environment.sealer] connection in
            try Self.rules(of: user, connection, sealer)
        }
    }

    private func rule(_ request: APIRequest, _ requester: Requester) async throws -> PushRule {
        let (kind, id) = try Self.target(request)
        guard let rule = try await rules(of: requester.user).rule(kind, id) else {
            throw MatrixError(.notFound, "No such push rule")
        }
        return rule
    }

    private func change(
        _ requester: Requester,
        _ change: @escaping @Sendable (inout PushRuleset) throws(PushRuleError) -> Void
    ) async throws -> APIResponse {
        let user = requester.user
        try await environment.database.write { [environment] connection in
            // The stream's row is the lock that keeps two changes apart.
            _ = try StreamPositions(connection).advance("account_data", by: 1)
            let sealer = environment.sealer
            let before = try Self.rules(of: user, connection, sealer)
            var rules = before
            do throws(PushRuleError) { try change(&rules) } catch { throw Self.answer(error) }
            guard rules != before else { return }
            let content = rules.content.serialized()
            guard content.count <= environment.configuration.limits.pushRulesBytes else {
                throw MatrixError(.tooLarge, "The push rules are too large")
            }
            try AccountDataStore(connection, sealer).set("m.push_rules", content, of: user)
        }
        return .empty
    }

    private static func rules(
        of user: UserID, _ connection: any SQLConnection, _ sealer: StorageSealer
    ) throws -> PushRuleset {
        try AccountDataStore(connection, sealer).pushRules(of: [user])[user] ?? PushRuleset(user: user)
    }

    private static func target(_ request: APIRequest) throws(MatrixError) -> (PushRule.Kind, String) {
        guard let kind = PushRule.Kind(rawValue: request.parameter("kind")) else {
            throw MatrixError(.invalidParameter, "There is no such kind of push rule")
        }
        return (kind, request.parameter("ruleId"))
    }

    private static func answer(_ error: PushRuleError) -> MatrixError {
        switch error {
        case .notFound: MatrixError(.notFound, "No such push rule")
        case .anchorNotFound: MatrixError(.unknown, "The rule of before or after is not yours")
        case .invalid(let reason): MatrixError(.invalidParameter, reason)
        }
    }
}
