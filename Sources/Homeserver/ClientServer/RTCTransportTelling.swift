internal import HTTPTypes
internal import MatrixAPI
internal import MatrixModel

/// Which media servers calls may use (MSC4143, unstable): `rtc.transports` of the configuration.
struct RTCTransportTelling: RouteGroup {
    let environment: Environment

    func register(on router: inout Router) {
        router.on(.getRTCTransports) { _, _ in
            .json(["rtc_transports": .array(environment.configuration.rtc.transports)])
        }
    }
}

extension Route {
    static let getRTCTransports = Route(
        "getRTCTransports", .get, "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports", .accessToken)
}
