internal import HTTPTypes

/// Threads that users follow: proposals that are not part of the specification yet.
extension Route {
    /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
    public static let getThreadSubscription = Route(
        "getThreadSubscription", .get,
        "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription", .accessToken)
    /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
    public static let putThreadSubscription = Route(
        "putThreadSubscription", .put,
        "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription", .accessToken,
        isRateLimited: true)
    /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4306>
    public static let deleteThreadSubscription = Route(
        "deleteThreadSubscription", .delete,
        "/_matrix/client/unstable/io.element.msc4306/rooms/{roomId}/thread/{eventId}/subscription", .accessToken,
        isRateLimited: true)
    /// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/4308>
    public static let listThreadSubscriptions = Route(
        "listThreadSubscriptions", .get, "/_matrix/client/unstable/io.element.msc4308/thread_subscriptions",
        .accessToken)
}
