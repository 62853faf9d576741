import MatrixModel
import Testing

@Suite("Room versions") struct RoomVersionTests {
    @Test(arguments: RoomVersion.all) func `the rules are those of the specification's table`(version: RoomVersion)
        throws
    {
        let row = try #require(EventVectors.roomVersions["versions"]?[version.text])
        let rules = version.rules
        let authorization = rules.authorization
        let flags: [(String, Bool)] = [
            ("signing_key_validity_enforced", rules.enforceKeyValidity),
            ("strict_canonical_json", rules.strictCanonicalJSON),
            ("aliases_special_cased", authorization.aliasesBelongToServer),
            ("notifications_levels_checked_in_power_levels", authorization.notificationLevelsAreGuarded),
            ("knock", authorization.knocking),
            ("restricted", authorization.restrictedJoins),
            ("knock_restricted", authorization.knockRestrictedJoins),
            ("integer_power_levels_only", authorization.powerLevelFormat == .integers),
            ("create_content_creator_required", !authorization.creatorIsSender),
            ("creators_infinite_power", authorization.privilegedCreators),
            ("create_listed_in_auth_events", authorization.createIsAuthEvent),
            ("redaction_checked_by_auth_rules", authorization.redactionsNeedPower),
        ]
        for (key, value) in flags { #expect(row[key]?.bool == value, "\(key)") }
        let formats: [RoomVersionRules.EventIDFormat: String] = [
            .randomWithServer: "server chosen, with domain", .base64Hash: "hash, standard base64",
            .urlSafeBase64Hash: "hash, URL-safe base64",
        ]
        #expect(row["event_id"]?.string == formats[rules.eventIDFormat])
        #expect(row["prev_and_auth_events"]?.string == (rules.eventIDIsSent ? "pairs [id, {sha256}]" : "ids"))
        #expect(
            row["room_id"]?.string
                == (rules.roomIDIsCreateEventHash ? "! + hash of the create event" : "!opaque:domain"))
        let resolutions: [RoomVersionRules.StateResolution: String] = [.v1: "v1", .v2: "v2", .v2_1: "v2.1"]
        #expect(row["state_resolution"]?.string == resolutions[rules.stateResolution])
        #expect(row["redacts_location"]?.string == (rules.redactsLocation == .content ? "content" : "top level"))
    }

    @Test func `all published versions are known, and no other`() {
        let known = EventVectors.roomVersions["versions"]?.members.map(\.key) ?? []
        #expect(Set(known) == Set(RoomVersion.all.map(\.text)))
        #expect(RoomVersion("13") == nil)
        #expect(RoomVersion("") == nil)
        #expect(RoomVersion.recommended.text == EventVectors.roomVersions["default"]?.string)
    }

    @Test(arguments: RoomVersion.all) func `the greatest depth is what the version's JSON can hold`(
        version: RoomVersion
    ) {
        let small = ["1", "2", "3", "4", "5"].contains(version.text)
        #expect(version.rules.maximumDepth == (small ? .max : 9_007_199_254_740_991))
    }
}
