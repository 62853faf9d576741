internal import HTTPTypes

/// The client-server API. Spec: <https://spec.matrix.org/v1.19/client-server-api/>
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
