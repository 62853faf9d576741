internal import HTTPTypes

/// The second half of the client-server API. Spec: <https://spec.matrix.org/v1.19/client-server-api/>
extension Route {
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login>
    public static let login = Route(
        "login", .post, "/_matrix/client/v3/login", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token>
    public static let generateLoginToken = Route(
        "generateLoginToken", .post, "/_matrix/client/v1/login/get_token", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logout>
    public static let logout = Route(
        "logout", .post, "/_matrix/client/v3/logout", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3logoutall>
    public static let logoutAll = Route(
        "logout_all", .post, "/_matrix/client/v3/logout/all", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages>
    public static let getRoomEvents = Route(
        "getRoomEvents", .get, "/_matrix/client/v3/rooms/{roomId}/messages", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mutual_rooms>
    public static let getMutualRooms = Route(
        "getMutualRooms", .get, "/_matrix/client/v1/mutual_rooms", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications>
    public static let getNotifications = Route(
        "getNotifications", .get, "/_matrix/client/v3/notifications", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata>
    public static let getAuthMetadata = Route(
        "getAuthMetadata", .get, "/_matrix/client/v1/auth_metadata", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events>
    public static let getEvents = Route(
        "getEvents", .get, "/_matrix/client/v3/events", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync>
    public static let initialSync = Route(
        "initialSync", .get, "/_matrix/client/v3/initialSync", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid>
    public static let getOneEvent = Route(
        "getOneEvent", .get, "/_matrix/client/v3/events/{eventId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token>
    public static let requestOpenIdToken = Route(
        "requestOpenIdToken", .post, "/_matrix/client/v3/user/{userId}/openid/request_token", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword>
    public static let changePassword = Route(
        "changePassword", .post, "/_matrix/client/v3/account/password", .optionalAccessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpasswordemailrequesttoken>
    public static let requestTokenToResetPasswordEmail = Route(
        "requestTokenToResetPasswordEmail", .post, "/_matrix/client/v3/account/password/email/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpasswordmsisdnrequesttoken>
    public static let requestTokenToResetPasswordMSISDN = Route(
        "requestTokenToResetPasswordMSISDN", .post, "/_matrix/client/v3/account/password/msisdn/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixpolicy_server>
    public static let getWellknownPolicy = Route(
        "getWellknownPolicy", .get, "/.well-known/matrix/policy_server", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3presenceuseridstatus>
    public static let getPresence = Route(
        "getPresence", .get, "/_matrix/client/v3/presence/{userId}/status", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3presenceuseridstatus>
    public static let setPresence = Route(
        "setPresence", .put, "/_matrix/client/v3/presence/{userId}/status", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuseridkeyname>
    public static let getProfileField = Route(
        "getProfileField", .get, "/_matrix/client/v3/profile/{userId}/{keyName}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3profileuseridkeyname>
    public static let setProfileField = Route(
        "setProfileField", .put, "/_matrix/client/v3/profile/{userId}/{keyName}", .accessToken, isRateLimited: true,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3profileuseridkeyname>
    public static let deleteProfileField = Route(
        "deleteProfileField", .delete, "/_matrix/client/v3/profile/{userId}/{keyName}", .accessToken,
        isRateLimited: true, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3profileuserid>
    public static let getUserProfile = Route(
        "getUserProfile", .get, "/_matrix/client/v3/profile/{userId}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushers>
    public static let getPushers = Route(
        "getPushers", .get, "/_matrix/client/v3/pushers", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset>
    public static let postPusher = Route(
        "postPusher", .post, "/_matrix/client/v3/pushers/set", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrules>
    public static let getPushRules = Route(
        "getPushRules", .get, "/_matrix/client/v3/pushrules/", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobal>
    public static let getPushRulesGlobal = Route(
        "getPushRulesGlobal", .get, "/_matrix/client/v3/pushrules/global/", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleid>
    public static let getPushRule = Route(
        "getPushRule", .get, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid>
    public static let setPushRule = Route(
        "setPushRule", .put, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3pushrulesglobalkindruleid>
    public static let deletePushRule = Route(
        "deletePushRule", .delete, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidenabled>
    public static let isPushRuleEnabled = Route(
        "isPushRuleEnabled", .get, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidenabled>
    public static let setPushRuleEnabled = Route(
        "setPushRuleEnabled", .put, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrulesglobalkindruleidactions>
    public static let getPushRuleActions = Route(
        "getPushRuleActions", .get, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleidactions>
    public static let setPushRuleActions = Route(
        "setPushRuleActions", .put, "/_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidread_markers>
    public static let setReadMarker = Route(
        "setReadMarker", .post, "/_matrix/client/v3/rooms/{roomId}/read_markers", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreceiptreceipttypeeventid>
    public static let postReceipt = Route(
        "postReceipt", .post, "/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidredacteventidtxnid>
    public static let redactEvent = Route(
        "redactEvent", .put, "/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3refresh>
    public static let refresh = Route(
        "refresh", .post, "/_matrix/client/v3/refresh", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register>
    public static let register = Route(
        "register", .post, "/_matrix/client/v3/register", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registeremailrequesttoken>
    public static let requestTokenToRegisterEmail = Route(
        "requestTokenToRegisterEmail", .post, "/_matrix/client/v3/register/email/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registermsisdnrequesttoken>
    public static let requestTokenToRegisterMSISDN = Route(
        "requestTokenToRegisterMSISDN", .post, "/_matrix/client/v3/register/msisdn/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable>
    public static let checkUsernameAvailability = Route(
        "checkUsernameAvailability", .get, "/_matrix/client/v3/register/available", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity>
    public static let registrationTokenValidity = Route(
        "registrationTokenValidity", .get, "/_matrix/client/v1/register/m.login.registration_token/validity", .none,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventid>
    public static let getRelatingEvents = Route(
        "getRelatingEvents", .get, "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventidreltype>
    public static let getRelatingEventsWithRelType = Route(
        "getRelatingEventsWithRelType", .get, "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}",
        .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidrelationseventidreltypeeventtype>
    public static let getRelatingEventsWithRelTypeAndEventType = Route(
        "getRelatingEventsWithRelTypeAndEventType", .get,
        "/_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreport>
    public static let reportRoom = Route(
        "reportRoom", .post, "/_matrix/client/v3/rooms/{roomId}/report", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidreporteventid>
    public static let reportEvent = Route(
        "reportEvent", .post, "/_matrix/client/v3/rooms/{roomId}/report/{eventId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3usersuseridreport>
    public static let reportUser = Route(
        "reportUser", .post, "/_matrix/client/v3/users/{userId}/report", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event>
    public static let getEventByTimestamp = Route(
        "getEventByTimestamp", .get, "/_matrix/client/v1/rooms/{roomId}/timestamp_to_event", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync>
    public static let roomInitialSync = Route(
        "roomInitialSync", .get, "/_matrix/client/v3/rooms/{roomId}/initialSync", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>
    public static let sendMessage = Route(
        "sendMessage", .put, "/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}", .accessToken,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidstateeventtypestatekey>
    public static let setRoomStateWithKey = Route(
        "setRoomStateWithKey", .put, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", .accessToken,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias>
    public static let getRoomSummary = Route(
        "getRoomSummary", .get, "/_matrix/client/v1/room_summary/{roomIdOrAlias}", .optionalAccessToken)
    /// `getRoomSummary` as clients knew it before it was part of the specification.
    /// Spec: MSC3266, <https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/3266-room-summary.md>
    public static let unstableRoomSummary = Route(
        "unstableRoomSummary", .get, "/_matrix/client/unstable/im.nheko.summary/summary/{roomIdOrAlias}",
        .optionalAccessToken)
    /// The same, where the proposal's first drafts had it.
    public static let oldRoomSummary = Route(
        "oldRoomSummary", .get, "/_matrix/client/unstable/im.nheko.summary/rooms/{roomIdOrAlias}/summary",
        .optionalAccessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidupgrade>
    public static let upgradeRoom = Route(
        "upgradeRoom", .post, "/_matrix/client/v3/rooms/{roomId}/upgrade", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomideventeventid>
    public static let getOneRoomEvent = Route(
        "getOneRoomEvent", .get, "/_matrix/client/v3/rooms/{roomId}/event/{eventId}", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstateeventtypestatekey>
    public static let getRoomStateWithKey = Route(
        "getRoomStateWithKey", .get, "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}", .accessToken,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidstate>
    public static let getRoomState = Route(
        "getRoomState", .get, "/_matrix/client/v3/rooms/{roomId}/state", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmembers>
    public static let getMembersByRoom = Route(
        "getMembersByRoom", .get, "/_matrix/client/v3/rooms/{roomId}/members", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidjoined_members>
    public static let getJoinedMembersByRoom = Route(
        "getJoinedMembersByRoom", .get, "/_matrix/client/v3/rooms/{roomId}/joined_members", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3search>
    public static let search = Route(
        "search", .post, "/_matrix/client/v3/search", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy>
    public static let getSpaceHierarchy = Route(
        "getSpaceHierarchy", .get, "/_matrix/client/v1/rooms/{roomId}/hierarchy", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect>
    public static let redirectToSSO = Route(
        "redirectToSSO", .get, "/_matrix/client/v3/login/sso/redirect", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirectidpid>
    public static let redirectToIdP = Route(
        "redirectToIdP", .get, "/_matrix/client/v3/login/sso/redirect/{idpId}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixsupport>
    public static let getWellknownSupport = Route(
        "getWellknownSupport", .get, "/.well-known/matrix/support", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync>
    public static let sync = Route(
        "sync", .get, "/_matrix/client/v3/sync", .accessToken, allowsGuests: true)
    /// Spec: MSC4186, <https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md>
    public static let slidingSync = Route(
        "slidingSync", .post, "/_matrix/client/v4/sync", .accessToken, allowsGuests: true)
    /// The shape of `slidingSync` that clients knew before it was part of the specification.
    public static let simplifiedSlidingSync = Route(
        "simplifiedSlidingSync", .post, "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", .accessToken,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidtags>
    public static let getRoomTags = Route(
        "getRoomTags", .get, "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidtagstag>
    public static let setRoomTag = Route(
        "setRoomTag", .put, "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3useruseridroomsroomidtagstag>
    public static let deleteRoomTag = Route(
        "deleteRoomTag", .delete, "/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocols>
    public static let getProtocols = Route(
        "getProtocols", .get, "/_matrix/client/v3/thirdparty/protocols", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyprotocolprotocol>
    public static let getProtocolMetadata = Route(
        "getProtocolMetadata", .get, "/_matrix/client/v3/thirdparty/protocol/{protocol}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocationprotocol>
    public static let queryLocationByProtocol = Route(
        "queryLocationByProtocol", .get, "/_matrix/client/v3/thirdparty/location/{protocol}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuserprotocol>
    public static let queryUserByProtocol = Route(
        "queryUserByProtocol", .get, "/_matrix/client/v3/thirdparty/user/{protocol}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartylocation>
    public static let queryLocationByAlias = Route(
        "queryLocationByAlias", .get, "/_matrix/client/v3/thirdparty/location", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3thirdpartyuser>
    public static let queryUserByID = Route(
        "queryUserByID", .get, "/_matrix/client/v3/thirdparty/user", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads>
    public static let getThreadRoots = Route(
        "getThreadRoots", .get, "/_matrix/client/v1/rooms/{roomId}/threads", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid>
    public static let sendToDevice = Route(
        "sendToDevice", .put, "/_matrix/client/v3/sendToDevice/{eventType}/{txnId}", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3roomsroomidtypinguserid>
    public static let setTyping = Route(
        "setTyping", .put, "/_matrix/client/v3/rooms/{roomId}/typing/{userId}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3user_directorysearch>
    public static let searchUserDirectory = Route(
        "searchUserDirectory", .post, "/_matrix/client/v3/user_directory/search", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientversions>
    public static let getVersions = Route(
        "getVersions", .get, "/_matrix/client/versions", .optionalAccessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3voipturnserver>
    public static let getTurnServer = Route(
        "getTurnServer", .get, "/_matrix/client/v3/voip/turnServer", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient>
    public static let getWellknown = Route(
        "getWellknown", .get, "/.well-known/matrix/client", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3accountwhoami>
    public static let getTokenOwner = Route(
        "getTokenOwner", .get, "/_matrix/client/v3/account/whoami", .accessToken, isRateLimited: true,
        allowsGuests: true)
}
