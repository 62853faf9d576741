internal import HTTPTypes

/// The server-server API. Spec: <https://spec.matrix.org/v1.19/server-server-api/>
extension Route {
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid>
    public static let backfillRoom = Route(
        "backfillRoom", .get, "/_matrix/federation/v1/backfill/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid>
    public static let getMissingPreviousEvents = Route(
        "getMissingPreviousEvents", .post, "/_matrix/federation/v1/get_missing_events/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediadownloadmediaid>
    public static let federationGetContent = Route(
        "getContent", .get, "/_matrix/federation/v1/media/download/{mediaId}", .serverSignature, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1mediathumbnailmediaid>
    public static let federationGetContentThumbnail = Route(
        "getContentThumbnail", .get, "/_matrix/federation/v1/media/thumbnail/{mediaId}", .serverSignature,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1event_authroomideventid>
    public static let getEventAuth = Route(
        "getEventAuth", .get, "/_matrix/federation/v1/event_auth/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1stateroomid>
    public static let federationGetRoomState = Route(
        "getRoomState", .get, "/_matrix/federation/v1/state/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid>
    public static let getRoomStateIds = Route(
        "getRoomStateIds", .get, "/_matrix/federation/v1/state_ids/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid>
    public static let getEvent = Route(
        "getEvent", .get, "/_matrix/federation/v1/event/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid>
    public static let federationGetEventByTimestamp = Route(
        "getEventByTimestamp", .get, "/_matrix/federation/v1/timestamp_to_event/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1inviteroomideventid>
    public static let sendInviteV1 = Route(
        "sendInviteV1", .put, "/_matrix/federation/v1/invite/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid>
    public static let sendInviteV2 = Route(
        "sendInviteV2", .put, "/_matrix/federation/v2/invite/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid>
    public static let makeJoin = Route(
        "makeJoin", .get, "/_matrix/federation/v1/make_join/{roomId}/{userId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid>
    public static let sendJoinV2 = Route(
        "sendJoinV2", .put, "/_matrix/federation/v2/send_join/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2queryservername>
    public static let perspectivesKeyQuery = Route(
        "perspectivesKeyQuery", .get, "/_matrix/key/v2/query/{serverName}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixkeyv2query>
    public static let bulkPerspectivesKeyQuery = Route(
        "bulkPerspectivesKeyQuery", .post, "/_matrix/key/v2/query", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixkeyv2server>
    public static let getServerKey = Route(
        "getServerKey", .get, "/_matrix/key/v2/server", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_knockroomiduserid>
    public static let makeKnock = Route(
        "makeKnock", .get, "/_matrix/federation/v1/make_knock/{roomId}/{userId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1send_knockroomideventid>
    public static let sendKnock = Route(
        "sendKnock", .put, "/_matrix/federation/v1/send_knock/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_leaveroomiduserid>
    public static let makeLeave = Route(
        "makeLeave", .get, "/_matrix/federation/v1/make_leave/{roomId}/{userId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_leaveroomideventid>
    public static let sendLeaveV2 = Route(
        "sendLeaveV2", .put, "/_matrix/federation/v2/send_leave/{roomId}/{eventId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1openiduserinfo>
    public static let exchangeOpenIdToken = Route(
        "exchangeOpenIdToken", .get, "/_matrix/federation/v1/openid/userinfo", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1publicrooms>
    public static let federationGetPublicRooms = Route(
        "getPublicRooms", .get, "/_matrix/federation/v1/publicRooms", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1publicrooms>
    public static let federationQueryPublicRooms = Route(
        "queryPublicRooms", .post, "/_matrix/federation/v1/publicRooms", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryquerytype>
    public static let queryInfo = Route(
        "queryInfo", .get, "/_matrix/federation/v1/query/{queryType}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1querydirectory>
    public static let queryRoomDirectory = Route(
        "queryRoomDirectory", .get, "/_matrix/federation/v1/query/directory", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1queryprofile>
    public static let queryProfile = Route(
        "queryProfile", .get, "/_matrix/federation/v1/query/profile", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign>
    public static let askPolicyServerToSign = Route(
        "askPolicyServerToSign", .post, "/_matrix/policy/v1/sign", .serverSignature, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid>
    public static let federationGetSpaceHierarchy = Route(
        "getSpaceHierarchy", .get, "/_matrix/federation/v1/hierarchy/{roomId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1exchange_third_party_inviteroomid>
    public static let exchangeThirdPartyInvite = Route(
        "exchangeThirdPartyInvite", .put, "/_matrix/federation/v1/exchange_third_party_invite/{roomId}",
        .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv13pidonbind>
    public static let onBindThirdPartyIdentifier = Route(
        "onBindThirdPartyIdentifier", .put, "/_matrix/federation/v1/3pid/onbind", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid>
    public static let sendTransaction = Route(
        "sendTransaction", .put, "/_matrix/federation/v1/send/{txnId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1userdevicesuserid>
    public static let getUserDevices = Route(
        "getUserDevices", .get, "/_matrix/federation/v1/user/devices/{userId}", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysclaim>
    public static let claimUserEncryptionKeys = Route(
        "claimUserEncryptionKeys", .post, "/_matrix/federation/v1/user/keys/claim", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1userkeysquery>
    public static let queryUserEncryptionKeys = Route(
        "queryUserEncryptionKeys", .post, "/_matrix/federation/v1/user/keys/query", .serverSignature)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1version>
    public static let getVersion = Route(
        "getVersion", .get, "/_matrix/federation/v1/version", .none)
    /// Spec: <https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver>
    public static let getWellKnown = Route(
        "getWellKnown", .get, "/.well-known/matrix/server", .none)

    /// Every server-server endpoint of the spec, whether served or not.
    public static let serverServer: [Route] = [
        .backfillRoom, .getMissingPreviousEvents, .federationGetContent, .federationGetContentThumbnail,
        .getEventAuth, .federationGetRoomState, .getRoomStateIds, .getEvent,
        .federationGetEventByTimestamp, .sendInviteV1, .sendInviteV2, .makeJoin,
        .sendJoinV2, .perspectivesKeyQuery, .bulkPerspectivesKeyQuery, .getServerKey,
        .makeKnock, .sendKnock, .makeLeave, .sendLeaveV2,
        .exchangeOpenIdToken, .federationGetPublicRooms, .federationQueryPublicRooms, .queryInfo,
        .queryRoomDirectory, .queryProfile, .askPolicyServerToSign, .federationGetSpaceHierarchy,
        .exchangeThirdPartyInvite, .onBindThirdPartyIdentifier, .sendTransaction, .getUserDevices,
        .claimUserEncryptionKeys, .queryUserEncryptionKeys, .getVersion, .getWellKnown,
    ]
}
