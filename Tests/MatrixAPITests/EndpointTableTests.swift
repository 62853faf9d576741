import Foundation
import HTTPTypes
import MatrixAPI
import Testing

/// `spec/endpoints.tsv`, drawn from the specification's OpenAPI files, and the routes say the same of who may ask.
@Suite("Endpoint table") struct EndpointTableTests {
    private struct Row: CustomTestStringConvertible {
        let method: String, path: String, operation: String, access: String
        let isRateLimited: Bool, allowsGuests: Bool
        var testDescription: String { operation }
    }

    private static let rows: [Row] = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let text = (try? String(contentsOf: folder.appendingPathComponent("spec/endpoints.tsv"), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 6 else { return nil }
            return Row(
                method: fields[0], path: fields[1], operation: fields[2], access: fields[3],
                isRateLimited: fields[4] == "y", allowsGuests: fields[5] == "y")
        }
    }()

    private static func name(_ access: Route.Access) -> String {
        switch access {
        case .none: "none"
        case .optionalAccessToken: "optional"
        case .accessToken: "access-token"
        case .serverSignature: "server"
        }
    }

    @Test func `every client endpoint has its row`() {
        #expect(Self.rows.count == 166)
        let known = Set(Self.rows.map { "\($0.method) \($0.path)" })
        for route in Route.clientServer { #expect(known.contains("\(route.method.rawValue) \(route.template)")) }
    }

    @Test func `limits, guests and tokens are as the specification says`() {
        let routes = Dictionary(
            Route.clientServer.map { ("\($0.method.rawValue) \($0.template)", $0) }, uniquingKeysWith: { $1 })
        for row in Self.rows {
            guard let route = routes["\(row.method) \(row.path)"] else {
                Issue.record("\(row.method) \(row.path) is not declared")
                continue
            }
            #expect(route.isRateLimited == row.isRateLimited, "\(row.operation): is it rate limited?")
            #expect(route.allowsGuests == row.allowsGuests, "\(row.operation): may guests?")
            // Application services have access tokens.
            let access = row.access == "appservice-token" ? "access-token" : row.access
            #expect(Self.name(route.access) == access, "\(row.operation): whose token?")
        }
    }
}
