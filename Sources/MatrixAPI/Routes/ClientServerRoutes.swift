internal import HTTPTypes

/// The client-server API: the list, and its endpoints of accounts, devices, keys, media and joining; the rest is in
/// `ClientServerRoutes+Rooms.swift`. Spec: <https://spec.matrix.org/v1.19/client-server-api/>
extension Route {
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridaccount_datatype>
    public static let getAccountData = Route(
        "getAccountData", .get, "/_matrix/client/v3/user/{userId}/account_data/{type}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridaccount_datatype>
    public static let setAccountData = Route(
        "setAccountData", .put, "/_matrix/client/v3/user/{userId}/account_data/{type}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridroomsroomidaccount_datatype>
    public static let getAccountDataPerRoom = Route(
        "getAccountDataPerRoom", .get, "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}",
        .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3useruseridroomsroomidaccount_datatype>
    public static let setAccountDataPerRoom = Route(
        "setAccountDataPerRoom", .put, "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}",
        .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate>
    public static let deactivateAccount = Route(
        "deactivateAccount", .post, "/_matrix/client/v3/account/deactivate", .optionalAccessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid>
    public static let getWhoIs = Route(
        "getWhoIs", .get, "/_matrix/client/v3/admin/whois/{userId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminsuspenduserid>
    public static let getAdminSuspendUser = Route(
        "getAdminSuspendUser", .get, "/_matrix/client/v1/admin/suspend/{userId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminsuspenduserid>
    public static let setAdminSuspendUser = Route(
        "setAdminSuspendUser", .put, "/_matrix/client/v1/admin/suspend/{userId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1adminlockuserid>
    public static let getAdminLockUser = Route(
        "getAdminLockUser", .get, "/_matrix/client/v1/admin/lock/{userId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv1adminlockuserid>
    public static let setAdminLockUser = Route(
        "setAdminLockUser", .put, "/_matrix/client/v1/admin/lock/{userId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3account3pid>
    public static let getAccount3PIDs = Route(
        "getAccount3PIDs", .get, "/_matrix/client/v3/account/3pid", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pid>
    public static let post3PIDs = Route(
        "post3PIDs", .post, "/_matrix/client/v3/account/3pid", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidadd>
    public static let add3PID = Route(
        "add3PID", .post, "/_matrix/client/v3/account/3pid/add", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidbind>
    public static let bind3PID = Route(
        "bind3PID", .post, "/_matrix/client/v3/account/3pid/bind", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3piddelete>
    public static let delete3pidFromAccount = Route(
        "delete3pidFromAccount", .post, "/_matrix/client/v3/account/3pid/delete", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidunbind>
    public static let unbind3pidFromAccount = Route(
        "unbind3pidFromAccount", .post, "/_matrix/client/v3/account/3pid/unbind", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidemailrequesttoken>
    public static let requestTokenTo3PIDEmail = Route(
        "requestTokenTo3PIDEmail", .post, "/_matrix/client/v3/account/3pid/email/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidmsisdnrequesttoken>
    public static let requestTokenTo3PIDMSISDN = Route(
        "requestTokenTo3PIDMSISDN", .post, "/_matrix/client/v3/account/3pid/msisdn/requestToken", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1appserviceappserviceidping>
    public static let pingAppservice = Route(
        "pingAppservice", .post, "/_matrix/client/v1/appservice/{appserviceId}/ping", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistappservicenetworkidroomid>
    public static let updateAppserviceRoomDirectoryVisibility = Route(
        "updateAppserviceRoomDirectoryVisibility", .put,
        "/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>
    public static let getContentAuthed = Route(
        "getContentAuthed", .get, "/_matrix/client/v1/media/download/{serverName}/{mediaId}", .accessToken,
        isRateLimited: true, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediadownloadservernamemediaidfilename>
    public static let getContentOverrideNameAuthed = Route(
        "getContentOverrideNameAuthed", .get, "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}",
        .accessToken, isRateLimited: true, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediathumbnailservernamemediaid>
    public static let getContentThumbnailAuthed = Route(
        "getContentThumbnailAuthed", .get, "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}", .accessToken,
        isRateLimited: true, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url>
    public static let getUrlPreviewAuthed = Route(
        "getUrlPreviewAuthed", .get, "/_matrix/client/v1/media/preview_url", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediaconfig>
    public static let getConfigAuthed = Route(
        "getConfigAuthed", .get, "/_matrix/client/v1/media/config", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidban>
    public static let ban = Route(
        "ban", .post, "/_matrix/client/v3/rooms/{roomId}/ban", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidunban>
    public static let unban = Route(
        "unban", .post, "/_matrix/client/v3/rooms/{roomId}/unban", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3capabilities>
    public static let getCapabilities = Route(
        "getCapabilities", .get, "/_matrix/client/v3/capabilities", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav3upload>
    public static let uploadContent = Route(
        "uploadContent", .post, "/_matrix/media/v3/upload", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixmediav3uploadservernamemediaid>
    public static let uploadContentToMXC = Route(
        "uploadContentToMXC", .put, "/_matrix/media/v3/upload/{serverName}/{mediaId}", .accessToken, isRateLimited: true
    )
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixmediav1create>
    public static let createContent = Route(
        "createContent", .post, "/_matrix/media/v1/create", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaid>
    public static let getContent = Route(
        "getContent", .get, "/_matrix/media/v3/download/{serverName}/{mediaId}", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3downloadservernamemediaidfilename>
    public static let getContentOverrideName = Route(
        "getContentOverrideName", .get, "/_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}", .none,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3thumbnailservernamemediaid>
    public static let getContentThumbnail = Route(
        "getContentThumbnail", .get, "/_matrix/media/v3/thumbnail/{serverName}/{mediaId}", .none, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3preview_url>
    public static let getUrlPreview = Route(
        "getUrlPreview", .get, "/_matrix/media/v3/preview_url", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixmediav3config>
    public static let getConfig = Route(
        "getConfig", .get, "/_matrix/media/v3/config", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom>
    public static let createRoom = Route(
        "createRoom", .post, "/_matrix/client/v3/createRoom", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload>
    public static let uploadCrossSigningKeys = Route(
        "uploadCrossSigningKeys", .post, "/_matrix/client/v3/keys/device_signing/upload", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload>
    public static let uploadCrossSigningSignatures = Route(
        "uploadCrossSigningSignatures", .post, "/_matrix/client/v3/keys/signatures/upload", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devices>
    public static let getDevices = Route(
        "getDevices", .get, "/_matrix/client/v3/devices", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3devicesdeviceid>
    public static let getDevice = Route(
        "getDevice", .get, "/_matrix/client/v3/devices/{deviceId}", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3devicesdeviceid>
    public static let updateDevice = Route(
        "updateDevice", .put, "/_matrix/client/v3/devices/{deviceId}", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3devicesdeviceid>
    public static let deleteDevice = Route(
        "deleteDevice", .delete, "/_matrix/client/v3/devices/{deviceId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3delete_devices>
    public static let deleteDevices = Route(
        "deleteDevices", .post, "/_matrix/client/v3/delete_devices", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directoryroomroomalias>
    public static let getRoomIdByAlias = Route(
        "getRoomIdByAlias", .get, "/_matrix/client/v3/directory/room/{roomAlias}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directoryroomroomalias>
    public static let setRoomAlias = Route(
        "setRoomAlias", .put, "/_matrix/client/v3/directory/room/{roomAlias}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3directoryroomroomalias>
    public static let deleteRoomAlias = Route(
        "deleteRoomAlias", .delete, "/_matrix/client/v3/directory/room/{roomAlias}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidaliases>
    public static let getLocalAliases = Route(
        "getLocalAliases", .get, "/_matrix/client/v3/rooms/{roomId}/aliases", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid>
    public static let getEventContext = Route(
        "getEventContext", .get, "/_matrix/client/v3/rooms/{roomId}/context/{eventId}", .accessToken, allowsGuests: true
    )
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridfilter>
    public static let defineFilter = Route(
        "defineFilter", .post, "/_matrix/client/v3/user/{userId}/filter", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3useruseridfilterfilterid>
    public static let getFilter = Route(
        "getFilter", .get, "/_matrix/client/v3/user/{userId}/filter/{filterId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidinvite>
    public static let inviteUser = Route(
        "inviteUser", .post, "/_matrix/client/v3/rooms/{roomId}/invite", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidjoin>
    public static let joinRoomById = Route(
        "joinRoomById", .post, "/_matrix/client/v3/rooms/{roomId}/join", .accessToken, isRateLimited: true,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3joinroomidoralias>
    public static let joinRoom = Route(
        "joinRoom", .post, "/_matrix/client/v3/join/{roomIdOrAlias}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversion>
    public static let getRoomKeysVersionCurrent = Route(
        "getRoomKeysVersionCurrent", .get, "/_matrix/client/v3/room_keys/version", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3room_keysversion>
    public static let postRoomKeysVersion = Route(
        "postRoomKeysVersion", .post, "/_matrix/client/v3/room_keys/version", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keysversionversion>
    public static let getRoomKeysVersion = Route(
        "getRoomKeysVersion", .get, "/_matrix/client/v3/room_keys/version/{version}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keysversionversion>
    public static let putRoomKeysVersion = Route(
        "putRoomKeysVersion", .put, "/_matrix/client/v3/room_keys/version/{version}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keysversionversion>
    public static let deleteRoomKeysVersion = Route(
        "deleteRoomKeysVersion", .delete, "/_matrix/client/v3/room_keys/version/{version}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomidsessionid>
    public static let getRoomKeyBySessionId = Route(
        "getRoomKeyBySessionId", .get, "/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomidsessionid>
    public static let putRoomKeyBySessionId = Route(
        "putRoomKeyBySessionId", .put, "/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomidsessionid>
    public static let deleteRoomKeyBySessionId = Route(
        "deleteRoomKeyBySessionId", .delete, "/_matrix/client/v3/room_keys/keys/{roomId}/{sessionId}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeysroomid>
    public static let getRoomKeysByRoomId = Route(
        "getRoomKeysByRoomId", .get, "/_matrix/client/v3/room_keys/keys/{roomId}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeysroomid>
    public static let putRoomKeysByRoomId = Route(
        "putRoomKeysByRoomId", .put, "/_matrix/client/v3/room_keys/keys/{roomId}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeysroomid>
    public static let deleteRoomKeysByRoomId = Route(
        "deleteRoomKeysByRoomId", .delete, "/_matrix/client/v3/room_keys/keys/{roomId}", .accessToken,
        isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3room_keyskeys>
    public static let getRoomKeys = Route(
        "getRoomKeys", .get, "/_matrix/client/v3/room_keys/keys", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3room_keyskeys>
    public static let putRoomKeys = Route(
        "putRoomKeys", .put, "/_matrix/client/v3/room_keys/keys", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#delete_matrixclientv3room_keyskeys>
    public static let deleteRoomKeys = Route(
        "deleteRoomKeys", .delete, "/_matrix/client/v3/room_keys/keys", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload>
    public static let uploadKeys = Route(
        "uploadKeys", .post, "/_matrix/client/v3/keys/upload", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery>
    public static let queryKeys = Route(
        "queryKeys", .post, "/_matrix/client/v3/keys/query", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim>
    public static let claimKeys = Route(
        "claimKeys", .post, "/_matrix/client/v3/keys/claim", .accessToken, allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges>
    public static let getKeysChanges = Route(
        "getKeysChanges", .get, "/_matrix/client/v3/keys/changes", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidkick>
    public static let kick = Route(
        "kick", .post, "/_matrix/client/v3/rooms/{roomId}/kick", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3knockroomidoralias>
    public static let knockRoom = Route(
        "knockRoom", .post, "/_matrix/client/v3/knock/{roomIdOrAlias}", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidleave>
    public static let leaveRoom = Route(
        "leaveRoom", .post, "/_matrix/client/v3/rooms/{roomId}/leave", .accessToken, isRateLimited: true,
        allowsGuests: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget>
    public static let forgetRoom = Route(
        "forgetRoom", .post, "/_matrix/client/v3/rooms/{roomId}/forget", .accessToken, isRateLimited: true)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3joined_rooms>
    public static let getJoinedRooms = Route(
        "getJoinedRooms", .get, "/_matrix/client/v3/joined_rooms", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid>
    public static let getRoomVisibilityOnDirectory = Route(
        "getRoomVisibilityOnDirectory", .get, "/_matrix/client/v3/directory/list/room/{roomId}", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid>
    public static let setRoomVisibilityOnDirectory = Route(
        "setRoomVisibilityOnDirectory", .put, "/_matrix/client/v3/directory/list/room/{roomId}", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3publicrooms>
    public static let getPublicRooms = Route(
        "getPublicRooms", .get, "/_matrix/client/v3/publicRooms", .none)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3publicrooms>
    public static let queryPublicRooms = Route(
        "queryPublicRooms", .post, "/_matrix/client/v3/publicRooms", .accessToken)
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login>
    public static let getLoginFlows = Route(
        "getLoginFlows", .get, "/_matrix/client/v3/login", .none, isRateLimited: true)
    /// Every client-server endpoint of the spec, whether served or not.
    public static let clientServer: [Route] = [
        .getAccountData, .setAccountData, .getAccountDataPerRoom, .setAccountDataPerRoom,
        .deactivateAccount, .getWhoIs, .getAdminSuspendUser, .setAdminSuspendUser,
        .getAdminLockUser, .setAdminLockUser, .getAccount3PIDs, .post3PIDs,
        .add3PID, .bind3PID, .delete3pidFromAccount, .unbind3pidFromAccount,
        .requestTokenTo3PIDEmail, .requestTokenTo3PIDMSISDN, .pingAppservice, .updateAppserviceRoomDirectoryVisibility,
        .getContentAuthed, .getContentOverrideNameAuthed, .getContentThumbnailAuthed, .getUrlPreviewAuthed,
        .getConfigAuthed, .ban, .unban, .getCapabilities,
        .uploadContent, .uploadContentToMXC, .createContent, .getContent,
        .getContentOverrideName, .getContentThumbnail, .getUrlPreview, .getConfig,
        .createRoom, .uploadCrossSigningKeys, .uploadCrossSigningSignatures, .getDevices,
        .getDevice, .updateDevice, .deleteDevice, .deleteDevices,
        .getRoomIdByAlias, .setRoomAlias, .deleteRoomAlias, .getLocalAliases,
        .getEventContext, .defineFilter, .getFilter, .inviteUser,
        .joinRoomById, .joinRoom, .getRoomKeysVersionCurrent, .postRoomKeysVersion,
        .getRoomKeysVersion, .putRoomKeysVersion, .deleteRoomKeysVersion, .getRoomKeyBySessionId,
        .putRoomKeyBySessionId, .deleteRoomKeyBySessionId, .getRoomKeysByRoomId, .putRoomKeysByRoomId,
        .deleteRoomKeysByRoomId, .getRoomKeys, .putRoomKeys, .deleteRoomKeys,
        .uploadKeys, .queryKeys, .claimKeys, .getKeysChanges,
        .kick, .knockRoom, .leaveRoom, .forgetRoom,
        .getJoinedRooms, .getRoomVisibilityOnDirectory, .setRoomVisibilityOnDirectory, .getPublicRooms,
        .queryPublicRooms, .getLoginFlows, .login, .generateLoginToken,
        .logout, .logoutAll, .getRoomEvents, .getMutualRooms,
        .getNotifications, .getAuthMetadata, .getEvents, .initialSync,
        .getOneEvent, .requestOpenIdToken, .changePassword, .requestTokenToResetPasswordEmail,
        .requestTokenToResetPasswordMSISDN, .getWellknownPolicy, .getPresence, .setPresence,
        .getProfileField, .setProfileField, .deleteProfileField, .getUserProfile,
        .getPushers, .postPusher, .getPushRules, .getPushRulesGlobal,
        .getPushRule, .setPushRule, .deletePushRule, .isPushRuleEnabled,
        .setPushRuleEnabled, .getPushRuleActions, .setPushRuleActions, .setReadMarker,
        .postReceipt, .redactEvent, .refresh, .register,
        .requestTokenToRegisterEmail, .requestTokenToRegisterMSISDN, .checkUsernameAvailability,
        .registrationTokenValidity,
        .getRelatingEvents, .getRelatingEventsWithRelType, .getRelatingEventsWithRelTypeAndEventType, .reportRoom,
        .reportEvent, .reportUser, .getEventByTimestamp, .roomInitialSync,
        .sendMessage, .setRoomStateWithKey, .getRoomSummary, .upgradeRoom,
        .getOneRoomEvent, .getRoomStateWithKey, .getRoomState, .getMembersByRoom,
        .getJoinedMembersByRoom, .search, .getSpaceHierarchy, .redirectToSSO,
        .redirectToIdP, .getWellknownSupport, .sync, .getRoomTags,
        .setRoomTag, .deleteRoomTag, .getProtocols, .getProtocolMetadata,
        .queryLocationByProtocol, .queryUserByProtocol, .queryLocationByAlias, .queryUserByID,
        .getThreadRoots, .sendToDevice, .setTyping, .searchUserDirectory,
        .getVersions, .getTurnServer, .getWellknown, .getTokenOwner,
    ]
}
