import HTTPMessages
import MatrixAPI
import MatrixModel

@testable import Homeserver

/// There is no network.
struct NoNetwork: HTTPClient {
    func send(_ request: ClientRequest) async throws(HTTPClientError) -> ClientResponse {
        throw .couldNotConnect("no network")
    }
}

/// No other server asks.
struct NoServers: ServerAuthenticating {
    func origin(of request: APIRequest) async throws(MatrixError) -> ServerName {
        throw MatrixError(.unauthorized, "no servers")
    }
}
