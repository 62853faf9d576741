internal import HTTPMessages
internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixModel

/// Speaks to push gateways. Spec: <https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify>
struct PushGateway: Sendable {
    /// What became of a notification.
    enum Outcome: Sendable, Hashable {
        /// It arrived.
        case accepted
        /// It arrived, and the pushkey is not valid any more.
        case rejected
        /// The gateway will never take this one.
        case refused(status: Int)
        /// It may arrive another time, not before so many milliseconds.
        case failed(cause: String, retryAfter: Int64)
    }

    let environment: Environment

    /// Sends a notification of a pusher.
    func notify(_ notification: PushNotification, _ pusher: Pusher, at gateway: WebAddress) async -> Outcome {
        let configuration = environment.configuration
        // Also for pushers that were set when this was allowed.
        guard gateway.scheme == "https" || configuration.outbound.allowPrivateAddresses else {
            return .failed(cause: "the gateway is not reached by https", retryAfter: 0)
        }
        let request = ClientRequest(
            method: .post, scheme: gateway.scheme, host: gateway.requestHost, port: gateway.port,
            pathAndQuery: gateway.pathAndQuery, fields: [.contentType: "application/json"], body: notification.body,
            timeout: .milliseconds(configuration.timeouts.pushGateway), maximumResponseBytes: PushLimits.answerBytes,
            allowPrivateAddresses: configuration.outbound.allowPrivateAddresses,
            verifyTLS: configuration.outbound.verifyTLS)
        let response: ClientResponse
        do { response = try await environment.httpClient.send(request) } catch {
            return .failed(cause: "\(error)", retryAfter: 0)
        }
        switch response.status {
        case 200..<300:
            guard let answer = try? JSONDocument(response.body) else { return .accepted }
            // Of those rejected only the one that was sent is believed.
            let rejected = answer.root["rejected"]?.elements ?? []
            return rejected.contains { $0.string == pusher.pushkey } ? .rejected : .accepted
        case 400, 413, 422:
            return .refused(status: response.status)
        case let status:
            let asked = response.fields[.retryAfter].flatMap { Int64($0) } ?? 0
            return .failed(cause: "status \(status)", retryAfter: min(max(asked, 0), 86_400) * 1000)
        }
    }

    /// Whether a URL may be a pusher's gateway.
    static func allows(_ address: WebAddress, _ configuration: HomeserverConfiguration) -> Bool {
        guard address.pathAndQuery == "/_matrix/push/v1/notify" else { return false }
        return address.scheme == "https" || configuration.outbound.allowPrivateAddresses
    }
}
