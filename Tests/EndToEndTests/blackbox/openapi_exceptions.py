"""What the OpenAPI documents leave to the specification's prose, and where they are wrong: each with its clause."""
import re

CLAUSE = "https://spec.matrix.org/v1.19/client-server-api/"

# Properties whose parts several schemas of one `allOf` name: none of these alone may refuse what it does not know.
OPEN_PROPERTIES = {"unsigned", "content"}

_CONTENT = ("content", "application/json", "schema")
_UIA_CODES = "#user-interactive-api-in-the-rest-api: errcode and error beside the flows"

# What the documents leave out or get wrong: file, place, what stands there instead, and where the prose says it.
AMENDMENTS = [
    ("api/client-server/sync.yaml",
     ("paths", "/sync", "get", "responses", "200", *_CONTENT, "properties", "device_unused_fallback_key_types"),
     {"type": "array", "items": {"type": "string"}}, "#e2e-extensions-to-sync"),
    ("api/client-server/sync.yaml",
     ("paths", "/sync", "get", "responses", "200", *_CONTENT, "properties", "presence"),
     {"type": "object", "properties": {"events": {"type": "array", "items": {
         "$ref": "../../event-schemas/schema/m.presence.yaml"}}}}, "#mpresence: an event with a sender"),
    ("api/client-server/old_sync.yaml",
     ("paths", "/initialSync", "get", "responses", "200", *_CONTENT, "properties", "presence", "items"),
     {"$ref": "../../event-schemas/schema/m.presence.yaml"}, "#mpresence: an event with a sender"),
    ("api/client-server/definitions/one_time_keys.yaml",
     ("additionalProperties", "oneOf", 1, "properties", "fallback"), {"type": "boolean"},
     "#post_matrixclientv3keysupload: fallback_keys, in words"),
    ("api/client-server/definitions/auth_response.yaml", ("properties", "errcode"), {"type": "string"}, _UIA_CODES),
    ("api/client-server/definitions/auth_response.yaml", ("properties", "error"), {"type": "string"}, _UIA_CODES),
    ("api/client-server/cross_signing.yaml",
     ("paths", "/keys/device_signing/upload", "post", "responses", "401"),
     {"content": {"application/json": {"schema": {"$ref": "definitions/auth_response.yaml"}}}},
     "#post_matrixclientv3keysdevice_signingupload: this API endpoint uses the User-Interactive Authentication API"),
    ("api/client-server/rooms.yaml",
     ("paths", "/rooms/{roomId}/state/{eventType}/{stateKey}", "get", "responses", "200", *_CONTENT),
     {"anyOf": [{"type": "object"}, {"$ref": "../../event-schemas/schema/core-event-schema/state_event.yaml"}]},
     "an event is an object too: `oneOf` would refuse it"),
    ("api/client-server/definitions/device_keys.yaml", ("properties", "dehydrated"), {"type": "boolean"},
     "MSC3814: a dehydrated device says so in its keys, which are told as they were uploaded"),
    ("api/client-server/definitions/push_ruleset.yaml", ("properties", "postcontent"),
     {"type": "array", "items": {"$ref": "push_rule.yaml"}}, "MSC4306: rules of threads that users follow"),
    ("api/client-server/definitions/push_condition.yaml", ("properties", "subscribed"), {"type": "boolean"},
     "MSC4306: whether the user follows the thread"),
    ("api/client-server/definitions/client_device.yaml", ("properties", "display_name"), {"type": ["string", "null"]},
     "no clause: matrix-nio takes no answer without the field, and other servers say null for a device without a name"),
    ("api/client-server/definitions/client_device.yaml", ("properties", "last_seen_ip"), {"type": ["string", "null"]},
     "no clause: as above"),
    ("api/client-server/definitions/client_device.yaml", ("properties", "last_seen_ts"), {"type": ["integer", "null"]},
     "no clause: as above"),
]

# The old stream of events, and the old first sync, have what `/sync` has beside the rooms' events.
_OLD_EVENTS = {"type": "array", "items": {"anyOf": [
    {"$ref": "definitions/client_event.yaml"},
    {"type": "object", "required": ["type", "content"], "properties": {
        "type": {"type": "string"}, "content": {"type": "object"}, "room_id": {"type": "string"},
        "sender": {"type": "string"}}}]}}
AMENDMENTS += [
    ("api/client-server/old_sync.yaml",
     ("paths", "/events", "get", "responses", "200", *_CONTENT, "properties", "chunk"), _OLD_EVENTS,
     "#get_matrixclientv3events: new events, of which typing, receipts, presence and account data are some"),
    ("api/client-server/peeking_events.yaml",
     ("paths", "/events ", "get", "responses", "200", *_CONTENT, "properties", "chunk"), _OLD_EVENTS,
     "#get_matrixclientv3events: as above"),
    ("api/client-server/old_sync.yaml",
     ("paths", "/initialSync", "get", "responses", "200", *_CONTENT, "properties", "presence"),
     {"type": "array", "items": {"$ref": "../../event-schemas/schema/m.presence.yaml"}},
     "#mpresence: an event with a sender"),
]

SERVER_MADE_EVENTS = {"m.receipt", "m.typing", "m.presence", "m.push_rules", "m.fully_read"}

# "Common error codes: These error codes can be returned by any API endpoint" (#common-error-codes), with the statuses
# that the prose gives them.
COMMON = {
    "M_BAD_JSON": {400}, "M_NOT_JSON": {400}, "M_FORBIDDEN": {403}, "M_LIMIT_EXCEEDED": {429}, "M_MISSING_TOKEN": {401},
    "M_UNKNOWN_TOKEN": {401}, "M_NOT_FOUND": {404}, "M_RESOURCE_LIMIT_EXCEEDED": {403}, "M_UNKNOWN": {400},
    "M_UNRECOGNIZED": {404, 405}, "M_USER_LOCKED": {401}, "M_USER_SUSPENDED": {403}, "M_USER_LIMIT_EXCEEDED": {403},
    "M_UNKNOWN_DEVICE": {400},
}
# "Other error codes" (#other-error-codes) whose meaning ties them to no endpoint.
ANYWHERE = {"M_INVALID_PARAM": {400}, "M_MISSING_PARAM": {400}, "M_TOO_LARGE": {413}, "M_GUEST_ACCESS_FORBIDDEN": {403},
            "M_UNAUTHORIZED": {401}, "M_WEAK_PASSWORD": {400}}      # the latter: #password-management

# "Some errcodes define additional keys" (#standard-error-response).
ERROR_KEYS = {
    "M_WRONG_ROOM_KEYS_VERSION": {"current_version"},       # #put_matrixclientv3room_keyskeysroomidsessionid, its example
    "M_UNKNOWN_TOKEN": {"soft_logout"}, "M_USER_LOCKED": {"soft_logout"},               # #soft-logout, #account-locking
    "M_INCOMPATIBLE_ROOM_VERSION": {"room_version"},        # #other-error-codes
    "M_RESOURCE_LIMIT_EXCEEDED": {"admin_contact"}, "M_USER_LIMIT_EXCEEDED": {"info_uri", "can_upgrade"},
    "M_LIMIT_EXCEEDED": {"retry_after_ms"},                 # #rate-limiting
}

# Operations that have another server asked, which may not be there.
ASK_OTHERS = {"inviteUser", "joinRoom", "joinRoomById", "knockRoom", "leaveRoom", "getRoomIdByAlias", "getRoomSummary", "getUserProfile",
              "getProfileField", "getPublicRooms", "queryPublicRooms"}
_BEHIND = "#standard-error-response: of M_UNKNOWN the status tells more, and RFC 9110 has 502 for a server behind that does not answer"

# Complaints that are none: the operations (names, or a word of the name or of the case), the complaint, and why it is right.
EXCUSES = [
    ("getFilter", r"^200: .*Unevaluated properties", "#get_matrixclientv3useruseridfilterfilterid: what the client stored, whole"),
    ("getRoomKeysVersion", r"^200: /algorithm: .* is not one of",
     "#server-side-key-backups: a backup of an algorithm that clients may yet agree on is kept as they made it"),
    ("getContent", r"^the status (206|416) ", "RFC 9110, 14: who asks for a range gets a part of the file, or learns that it has none"),
    ("getEvents", r'^200: /chunk/\d+: "(event_id|origin_server_ts|room_id|sender)" is a required',
     "#get_matrixclientv3events: the stream has presence, typing and receipts too, which are no room events"),
    ("peekEvents", r'^200: /chunk/\d+: "(event_id|origin_server_ts|room_id|sender)" is a required', "#get_matrixclientv3events: as above"),
    (ASK_OTHERS, r"^the status 502 \(M_UNKNOWN: (\S+|The user's server) could not be asked\)", _BEHIND),
    ({"getUrlPreview", "getUrlPreviewAuthed"}, r"^the status 502 \(M_UNKNOWN: There is no preview of this URL to be had\)", _BEHIND),
    ("a full disk", r"^the status 500 \(M_UNKNOWN:", "#common-error-codes, M_UNKNOWN: the disk is full"),
    ("SIGTERM and SIGINT", r"^the status 503 \(M_UNKNOWN:", "#common-error-codes, M_UNKNOWN: the server is about to end"),
]


def excuse(operation, text, case):
    for where, pattern, clause in EXCUSES:
        meant = operation in where if isinstance(where, set) else where in operation or where in case
        if meant and re.search(pattern, text):
            return clause
    return None


def is_unstable(path, query):
    """Not in the specification, and said so by its name (proposals: #unstable-prefixes), or merged after v1.19 (MSC4186)."""
    return "/unstable/" in path or path == "/_matrix/client/v4/sync" or any("msc" in name for name in query)


def common_error(operations, status, answer):
    """None if the answer is one that any endpoint may give; otherwise what is wrong."""
    code = answer.errcode
    try:
        body = answer.json
    except ValueError:
        body = None
    allowed = COMMON.get(code, set()) | ANYWHERE.get(code, set())
    if status not in allowed:
        words = body.get("error") if isinstance(body, dict) else None
        return f"the status {status} ({code}: {words}) is not documented"
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        return f"{status} {code} without `error`"
    if code == "M_RESOURCE_LIMIT_EXCEEDED" and not isinstance(body.get("admin_contact"), str):
        return "M_RESOURCE_LIMIT_EXCEEDED without `admin_contact`"
    if code == "M_USER_LIMIT_EXCEEDED" and not isinstance(body.get("info_uri"), str):
        return "M_USER_LIMIT_EXCEEDED without `info_uri`"
    return None


def undocumented_code(operations, answer):
    """The error code of a documented status must be one that the operation, or the common list, knows."""
    code = answer.errcode
    if code is None or code in COMMON or code in ANYWHERE or any(code in each.codes for each in operations):
        return None
    return f"{answer.status} with {code}, of which the operation says nothing"
