import ClientEncryption
import FedchatKit
import MatrixModel
import PostQuantum

extension DaemonRequests {
    func postQuantum(_ params: JSONValue) async throws -> JSONValue {
        if let name = params["policy"]?.string {
            guard let policy = HybridAlgorithm.Policy(rawValue: name) else {
                throw Failure("no such setting: \(name)", Failure.Status.usage)
            }
            try await client.setHybridPolicy(policy)
        }
        return [
            "policy": .string(try await client.hybridPolicy().rawValue),
            "published": .bool(try await client.isHybridOffered()),
            "fixed": .bool(try await client.isHybridOfferFixed()),
        ]
    }
}
