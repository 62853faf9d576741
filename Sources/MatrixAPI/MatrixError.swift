internal import HTTPTypes
public import MatrixModel

/// The error a client or a server is told. Spec: <https://spec.matrix.org/v1.19/client-server-api/#standard-error-response>
public struct MatrixError: Error, Sendable, Equatable {
    /// An `errcode`, with the status it usually comes with.
    public struct Code: Sendable, Hashable {
        public let text: String
        public let status: Int

        public init(_ text: String, status: Int) {
            self.text = text
            self.status = status
        }

        public static func == (left: Code, right: Code) -> Bool { left.text == right.text }
        public func hash(into hasher: inout Hasher) { hasher.combine(text) }
    }

    public var code: Code
    /// For a person; nothing secret, nothing about others.
    public var message: String
    /// The HTTP status.
    public var status: Int
    /// Further fields of the error object, such as `soft_logout`.
    public var fields: [String: JSONValue]

    public init(_ code: Code, _ message: String, status: Int? = nil, fields: [String: JSONValue] = [:]) {
        self.code = code
        self.message = message
        self.status = status ?? code.status
        self.fields = fields
    }

    /// Too many requests. `retryAfter` is in milliseconds; both the field and the header `Retry-After` are sent.
    public static func limitExceeded(retryAfterMilliseconds: Int64) -> MatrixError {
        MatrixError(
            .limitExceeded, "Too many requests", fields: ["retry_after_ms": .integer(max(1, retryAfterMilliseconds))])
    }

    /// The milliseconds after which to try again, if this says so.
    public var retryAfterMilliseconds: Int64? { fields["retry_after_ms"]?.integer }

    /// The answer to what is not served here.
    public static let unrecognized = MatrixError(.unrecognized, "Unrecognized request")
    /// The answer to a failure of our own; the log has the cause.
    public static let unknown = MatrixError(.unknown, "Internal server error", status: 500)

    /// The error as a response.
    public var response: APIResponse {
        var fields = self.fields
        fields["errcode"] = .string(code.text)
        fields["error"] = .string(message)
        var response = APIResponse.json(.object(fields), status: status)
        if let retry = retryAfterMilliseconds {
            response.headers[.retryAfter] = String((retry.clamped(to: 1...86_400_000) + 999) / 1000)
        }
        return response
    }

    /// Reads an error answer; `nil` when the body is no Matrix error.
    public init?(status: Int, body: JSONView) {
        guard let code = body["errcode"]?.string else { return nil }
        var fields: [String: JSONValue] = [:]
        for (key, value) in body.members.prefix(32) where key != "errcode" && key != "error" {
            fields[key] = value.value
        }
        self.init(
            Code(code, status: status), body["error"]?.string ?? code, status: status, fields: fields)
    }
}

extension MatrixError.Code {
    public static let badJSON = Self("M_BAD_JSON", status: 400)
    public static let notJSON = Self("M_NOT_JSON", status: 400)
    public static let forbidden = Self("M_FORBIDDEN", status: 403)
    public static let unknownToken = Self("M_UNKNOWN_TOKEN", status: 401)
    public static let missingToken = Self("M_MISSING_TOKEN", status: 401)
    public static let userLocked = Self("M_USER_LOCKED", status: 401)
    public static let userSuspended = Self("M_USER_SUSPENDED", status: 403)
    public static let userDeactivated = Self("M_USER_DEACTIVATED", status: 403)
    public static let notFound = Self("M_NOT_FOUND", status: 404)
    public static let limitExceeded = Self("M_LIMIT_EXCEEDED", status: 429)
    public static let unrecognized = Self("M_UNRECOGNIZED", status: 404)
    public static let unknown = Self("M_UNKNOWN", status: 400)
    public static let unknownPosition = Self("M_UNKNOWN_POS", status: 400)
    public static let unauthorized = Self("M_UNAUTHORIZED", status: 401)
    public static let userInUse = Self("M_USER_IN_USE", status: 400)
    public static let invalidUsername = Self("M_INVALID_USERNAME", status: 400)
    public static let roomInUse = Self("M_ROOM_IN_USE", status: 400)
    public static let invalidRoomState = Self("M_INVALID_ROOM_STATE", status: 400)
    public static let weakPassword = Self("M_WEAK_PASSWORD", status: 400)
    public static let unsupportedRoomVersion = Self("M_UNSUPPORTED_ROOM_VERSION", status: 400)
    public static let incompatibleRoomVersion = Self("M_INCOMPATIBLE_ROOM_VERSION", status: 400)
    public static let badState = Self("M_BAD_STATE", status: 400)
    public static let guestAccessForbidden = Self("M_GUEST_ACCESS_FORBIDDEN", status: 403)
    public static let captchaNeeded = Self("M_CAPTCHA_NEEDED", status: 400)
    public static let missingParameter = Self("M_MISSING_PARAM", status: 400)
    public static let invalidParameter = Self("M_INVALID_PARAM", status: 400)
    public static let tooLarge = Self("M_TOO_LARGE", status: 413)
    public static let exclusive = Self("M_EXCLUSIVE", status: 400)
    public static let resourceLimitExceeded = Self("M_RESOURCE_LIMIT_EXCEEDED", status: 403)
    public static let cannotLeaveServerNoticeRoom = Self("M_CANNOT_LEAVE_SERVER_NOTICE_ROOM", status: 403)
    public static let badAlias = Self("M_BAD_ALIAS", status: 400)
    public static let duplicateAnnotation = Self("M_DUPLICATE_ANNOTATION", status: 400)
    public static let notYetUploaded = Self("M_NOT_YET_UPLOADED", status: 504)
    public static let cannotOverwriteMedia = Self("M_CANNOT_OVERWRITE_MEDIA", status: 409)
    public static let unableToAuthorizeJoin = Self("M_UNABLE_TO_AUTHORISE_JOIN", status: 400)
    public static let unableToGrantJoin = Self("M_UNABLE_TO_GRANT_JOIN", status: 400)
    public static let inviteBlocked = Self("M_INVITE_BLOCKED", status: 403)
    public static let profileTooLarge = Self("M_PROFILE_TOO_LARGE", status: 400)
    public static let keyTooLarge = Self("M_KEY_TOO_LARGE", status: 400)
    public static let wrongRoomKeysVersion = Self("M_WRONG_ROOM_KEYS_VERSION", status: 403)
    public static let threepidNotFound = Self("M_THREEPID_NOT_FOUND", status: 400)
}

extension Comparable {
    func clamped(to range: ClosedRange<Self>) -> Self { min(max(self, range.lowerBound), range.upperBound) }
}
