internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Reads requests of sliding sync, in either shape. Throws `M_BAD_JSON`, `M_INVALID_PARAM`, `M_MISSING_PARAM`,
/// `M_UNKNOWN_POS`.
struct SlidingRequestReading {
    let shape: SlidingShape
    let limits: HomeserverConfiguration.Limits
    let timeouts: HomeserverConfiguration.Timeouts

    func read(_ request: APIRequest, _ requester: Requester) throws(MatrixError) -> SlidingRequest {
        let body = request.body
        let id = try string(body, "conn_id") ?? ""
        guard id.utf8.count <= SyncLimits.connectionNameBytes, id.utf8.allSatisfy({ $0 >= 0x20 }) else {
            throw invalid("conn_id is too long, or no text")
        }
        var wanted = SlidingRequest(
            shape: shape, name: .init(user: requester.user, device: requester.device, id: id))
        let position: String?
        switch shape {
        case .stable:
            position = try string(body, "pos")
            wanted.timeout = min(max(0, try integer(body, "timeout") ?? 0), timeouts.syncMaximum)
            wanted.presence = try string(body, "set_presence") ?? "online"
        case .simplified:
            position = request.query("pos")
            wanted.timeout = Int64(
                try request.queryInteger("timeout", default: 0, in: 0...Int(clamping: timeouts.syncMaximum)))
            wanted.presence = request.query("set_presence") ?? "online"
        }
        guard PresenceKeeper.states.contains(wanted.presence) else { throw invalid("set_presence is no presence") }
        if let position, !position.isEmpty {
            guard let known = SlidingPosition(position) else { throw SlidingPosition.unknown }
            wanted.position = known
        }
        let lists = try object(body, "lists")?.members ?? []
        guard lists.count <= SyncLimits.slidingLists else {
            throw invalid("More than \(SyncLimits.slidingLists) lists")
        }
        for (name, list) in lists { wanted.lists.append(try self.list(name, list, of: requester.user)) }
        let subscriptions = try object(body, "room_subscriptions")?.members ?? []
        let most = shape == .stable ? SyncLimits.slidingSubscriptions : SyncLimits.slidingSubscriptionsOfOld
        guard subscriptions.count <= most else { throw invalid("More than \(most) subscriptions") }
        for (room, subscription) in subscriptions {
            // A room that cannot be is a room that the user cannot see.
            guard let id = try? RoomID(room) else { continue }
            wanted.subscriptions[id] = try config(subscription, of: requester.user)
        }
        wanted.extensions = try extensions(try object(body, "extensions"))
        return wanted
    }

    // MARK: Lists

    private func list(_ name: String, _ json: JSONView, of user: UserID) throws(MatrixError) -> SlidingList {
        guard !name.isEmpty, name.utf8.count <= 255, shape == .simplified || Self.isOpaque(name) else {
            throw invalid("The name of a list is none")
        }
        var list = SlidingList(name: name, config: try config(json, of: user))
        switch shape {
        case .stable:
            if let range = json["range"], !range.isNull { list.ranges = [try self.range(range)] }
        case .simplified:
            if let ranges = try array(json, "ranges"), json["slow_get_all_rooms"]?.bool != true {
                guard ranges.count <= SyncLimits.slidingRanges else { throw invalid("Too many ranges") }
                list.ranges = []
                for range in ranges { list.ranges?.append(try self.range(range)) }
            }
        }
        if let filters = try object(json, "filters") { list.filter = try filter(filters) }
        return list
    }

    /// Spec: <https://spec.matrix.org/v1.19/appendices/#opaque-identifiers>
    private static func isOpaque(_ name: String) -> Bool {
        name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
            default: false
            }
        }
    }

    private func range(_ json: JSONView) throws(MatrixError) -> ClosedRange<Int> {
        let ends = json.elements.compactMap(\.integer)
        guard json.count == 2, ends.count == 2, let first = ends.first, let last = ends.last, first >= 0, last >= 0
        else { throw MatrixError(.badJSON, "A range is not two numbers") }
        guard first <= last else { throw invalid("A range ends before it begins") }
        return Int(clamping: first)...Int(clamping: last)
    }

    private func filter(_ json: JSONView) throws(MatrixError) -> SlidingFilter {
        var filter = SlidingFilter()
        filter.isDirect = try bool(json, "is_dm")
        filter.isEncrypted = try bool(json, "is_encrypted")
        filter.isInvite = try bool(json, shape == .stable ? "is_invited" : "is_invite")
        filter.spaces = try strings(json, "spaces")?.compactMap { try? RoomID($0) }
        filter.roomTypes = try types(json, "room_types")
        filter.notRoomTypes = try types(json, "not_room_types")
        filter.tags = try strings(json, "tags").map { Set($0) }
        filter.notTags = try strings(json, "not_tags").map { Set($0) }
        if shape == .simplified {
            filter.isTombstoned = try bool(json, "is_tombstoned")
            filter.nameLike = try string(json, "room_name_like")?.lowercased()
        }
        return filter
    }

    private func types(_ json: JSONView, _ key: String) throws(MatrixError) -> Set<String?>? {
        guard let elements = try array(json, key) else { return nil }
        var types: Set<String?> = []
        for element in elements {
            guard element.isNull || element.string != nil else { throw MatrixError(.badJSON, "\(key) has no types") }
            types.insert(element.string)
        }
        return types
    }

    // MARK: What is wanted of rooms

    private func config(_ json: JSONView, of user: UserID) throws(MatrixError) -> SlidingRoomConfig {
        guard json.isObject else { throw MatrixError(.badJSON, "A list or subscription is not an object") }
        guard let limit = try integer(json, "timeline_limit") else {
            throw MatrixError(.missingParameter, "Missing timeline_limit")
        }
        guard limit >= 0 else { throw invalid("timeline_limit is below 0") }
        let state: RequiredState
        switch shape {
        case .stable: state = try requiredState(try object(json, "required_state"))
        case .simplified: state = try requiredState(try array(json, "required_state") ?? [], of: user)
        }
        return SlidingRoomConfig(
            timelineLimit: min(Int(clamping: limit), limits.syncTimelineMaximum), requiredState: state)
    }

    /// `{include, exclude, lazy_members}`
    private func requiredState(_ json: JSONView?) throws(MatrixError) -> RequiredState {
        var state = RequiredState()
        guard let json else { return state }
        state.lazyMembers = try bool(json, "lazy_members") ?? false
        let include = try patterns(json, "include")
        let exclude = Set(try patterns(json, "exclude"))
        for pattern in include {
            let leaves = state.lazyMembers && pattern.type == nil && pattern.stateKey == nil
            state.rules.insert(.init(pattern: pattern, exclude: exclude, leavesMembers: leaves))
        }
        return state
    }

    private func patterns(_ json: JSONView, _ key: String) throws(MatrixError) -> [RequiredState.Pattern] {
        let elements = try array(json, key) ?? []
        guard elements.count <= SyncLimits.stateRules else { throw invalid("\(key) has too many entries") }
        var patterns: [RequiredState.Pattern] = []
        for element in elements {
            guard element.isObject else { throw MatrixError(.badJSON, "\(key) has what is no object") }
            patterns.append(.init(type: try string(element, "type"), stateKey: try string(element, "state_key")))
        }
        return patterns
    }

    /// Pairs of type and key, with `*`, `$ME` and `$LAZY`.
    private func requiredState(_ pairs: [JSONView], of user: UserID) throws(MatrixError) -> RequiredState {
        guard pairs.count <= SyncLimits.stateRules else { throw invalid("required_state has too many entries") }
        var state = RequiredState()
        var patterns: Set<RequiredState.Pattern> = []
        for pair in pairs {
            let texts = pair.elements.compactMap(\.string)
            guard pair.count == 2, texts.count == 2, let type = texts.first, let key = texts.last else {
                throw MatrixError(.badJSON, "required_state has what is no pair of texts")
            }
            if key == "$LAZY" {
                if type == EventType.member.text { state.lazyMembers = true }
                continue
            }
            let stateKey = key == "*" ? nil : key == "$ME" ? user.text : key
            patterns.insert(.init(type: type == "*" ? nil : type, stateKey: stateKey))
        }
        for pattern in patterns {
            let leaves = state.lazyMembers && pattern.type == nil && pattern.stateKey == nil
            state.rules.insert(.init(pattern: pattern, leavesMembers: leaves))
        }
        return state
    }

    // MARK: Extensions

    private func extensions(_ json: JSONView?) throws(MatrixError) -> SlidingExtensions {
        var found = SlidingExtensions()
        guard let json else { return found }
        if let wanted = try enabled(json, "to_device") {
            var limit = limits.toDevicePerSync
            if let most = try integer(wanted, "limit") { limit = min(limit, max(1, Int(clamping: most))) }
            found.toDevice = .init(limit: limit)
            if let since = try string(wanted, "since") {
                guard let position = Int64(since), (0...SyncLimits.greatestPosition).contains(position) else {
                    throw invalid("to_device.since is no token of ours")
                }
                found.toDevice?.since = position
            }
        }
        if let wanted = try enabled(json, SlidingAssembly.threadsKey) {
            let limit = try integer(wanted, "limit") ?? 100
            found.threads = max(1, min(Int(clamping: limit), SyncLimits.threadSubscriptionsPage))
        }
        if let wanted = try enabled(json, SlidingAssembly.stickyKey) {
            let limit = try integer(wanted, "limit") ?? 100
            found.sticky = .init(since: 0, limit: max(1, min(Int(clamping: limit), SyncLimits.stickyPerRoom)))
            if let since = try string(wanted, "since") {
                guard since.hasPrefix(SlidingAssembly.stickyPrefix),
                    let position = Int64(since.dropFirst(SlidingAssembly.stickyPrefix.count)),
                    (0...SyncLimits.greatestPosition).contains(position)
                else { throw invalid("since is no token of ours") }
                found.sticky?.since = position
            }
        }
        found.encryption = try enabled(json, "e2ee") != nil
        found.accountData = try enabled(json, "account_data").map(scope)
        found.receipts = try enabled(json, "receipts").map(scope)
        found.typing = try enabled(json, "typing").map(scope)
        return found
    }

    private func enabled(_ json: JSONView, _ name: String) throws(MatrixError) -> JSONView? {
        guard let wanted = try object(json, name), try bool(wanted, "enabled") == true else { return nil }
        return wanted
    }

    /// Without a word: all lists, all subscriptions.
    private func scope(_ json: JSONView) -> SlidingExtensions.Scope {
        func names(_ key: String) -> [String]? {
            guard let list = json[key]?.array?.prefix(SyncLimits.filterEntries).compactMap(\.string) else { return nil }
            return list.contains("*") ? nil : list
        }
        return .init(
            lists: names("lists").map { Set($0) }, rooms: names("rooms").map { Set($0.compactMap { try? RoomID($0) }) })
    }

    // MARK: Fields

    private func invalid(_ message: String) -> MatrixError { MatrixError(.invalidParameter, message) }

    private func field(_ json: JSONView, _ key: String) -> JSONView? { json[key].flatMap { $0.isNull ? nil : $0 } }

    private func wrong(_ key: String, _ kind: String) -> MatrixError { MatrixError(.badJSON, "\(key) is not \(kind)") }

    private func string(_ json: JSONView, _ key: String) throws(MatrixError) -> String? {
        guard let field = field(json, key) else { return nil }
        guard let value = field.string else { throw wrong(key, "a string") }
        return value
    }

    private func integer(_ json: JSONView, _ key: String) throws(MatrixError) -> Int64? {
        guard let field = field(json, key) else { return nil }
        guard let value = field.integer else { throw wrong(key, "an integer") }
        return value
    }

    private func bool(_ json: JSONView, _ key: String) throws(MatrixError) -> Bool? {
        guard let field = field(json, key) else { return nil }
        guard let value = field.bool else { throw wrong(key, "a boolean") }
        return value
    }

    private func object(_ json: JSONView, _ key: String) throws(MatrixError) -> JSONView? {
        guard let field = field(json, key) else { return nil }
        guard field.isObject else { throw wrong(key, "an object") }
        return field
    }

    private func array(_ json: JSONView, _ key: String) throws(MatrixError) -> [JSONView]? {
        guard let field = field(json, key) else { return nil }
        guard let value = field.array else { throw wrong(key, "an array") }
        guard value.count <= SyncLimits.filterEntries else { throw invalid("\(key) has too many entries") }
        return value
    }

    private func strings(_ json: JSONView, _ key: String) throws(MatrixError) -> [String]? {
        guard let elements = try array(json, key) else { return nil }
        let texts = elements.compactMap(\.string)
        guard texts.count == elements.count else { throw wrong(key, "a list of strings") }
        return texts
    }
}
