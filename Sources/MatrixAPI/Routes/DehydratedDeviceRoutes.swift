internal import HTTPTypes

/// Dehydrated devices, which are not in the specification.
/// Proposal: <https://github.com/matrix-org/matrix-spec-proposals/pull/3814>
extension Route {
    private static let dehydratedDevice = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"

    /// Leaves a device that another client of the user may take up.
    public static let putDehydratedDevice = Route("putDehydratedDevice", .put, dehydratedDevice, .accessToken)
    /// The device that waits.
    public static let getDehydratedDevice = Route("getDehydratedDevice", .get, dehydratedDevice, .accessToken)
    /// Takes the device away.
    public static let deleteDehydratedDevice = Route("deleteDehydratedDevice", .delete, dehydratedDevice, .accessToken)
    /// The messages that came for the device.
    public static let getDehydratedDeviceEvents = Route(
        "getDehydratedDeviceEvents", .get, dehydratedDevice + "/{deviceId}/events", .accessToken)
    /// The same, as clients of an earlier draft ask.
    public static let postDehydratedDeviceEvents = Route(
        "postDehydratedDeviceEvents", .post, dehydratedDevice + "/{deviceId}/events", .accessToken)
}
