internal import HTTPTypes
internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
internal import SQLDatabase

/// The page that links in mails lead to. Looking at it changes nothing, for mail programs and scanners look at links; its
/// button does, and so does what mail programs post themselves (RFC 8058).
struct MailConsenting: RouteGroup {
    static let path = "/_matrix/client/unstable/org.fedchat.mail"

    let environment: Environment

    func register(on router: inout Router) {
        router.onPublic(.mailConsentPage, show)
        router.onPublic(.mailConsent, act)
    }

    @Sendable private func show(_ request: APIRequest) async throws -> APIResponse {
        guard let link = link(request) else { return Self.page("This link is not valid, or too old.", status: 400) }
        let button = link.action == .confirm ? "Get mail" : "Get no mail any more"
        return Self.page(
            """
            \(link.user.text.escapedForMarkup), at \(link.address.escapedForMarkup):</p>
            <form method="post"><button type="submit">\(button)</button></form><p>
            """)
    }

    @Sendable private func act(_ request: APIRequest) async throws -> APIResponse {
        guard let link = link(request) else { return Self.page("This link is not valid, or too old.", status: 400) }
        let isThere = try await environment.database.write { connection -> Bool in
            let store = PusherStore(connection)
            switch link.action {
            case .confirm: return try store.confirm(of: link.user, appID: link.appID, pushkey: link.address)
            case .unsubscribe:
                try store.remove(of: link.user, appID: link.appID, pushkey: link.address)
                return true
            }
        }
        switch (link.action, isThere) {
        case (.confirm, true): return Self.page("You will get mail.")
        case (.confirm, false): return Self.page("This was given up meanwhile. There will be no mail.", status: 404)
        case (.unsubscribe, _): return Self.page("You will get no mail any more.")
        }
    }

    private func link(_ request: APIRequest) -> MailLink? {
        request.query("link").flatMap {
            MailLink($0, signedBy: environment.signingKeys, now: environment.clock.now())
        }
    }

    private static func page(_ text: String, status: Int = 200) -> APIResponse {
        let html = """
            <!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex">
            <meta name="viewport" content="width=device-width"><title>Mail</title></head><body><p>\(text)</p></body></html>

            """
        var response = APIResponse.raw(Array(html.utf8), contentType: "text/html; charset=utf-8", status: status)
        if let policy = HTTPField.Name("Content-Security-Policy") {
            response.headers[policy] = "default-src 'none'; form-action 'self'; frame-ancestors 'none'"
        }
        if let referrer = HTTPField.Name("Referrer-Policy") { response.headers[referrer] = "no-referrer" }
        return response
    }
}

extension Route {
    /// Where links in mails lead.
    static let mailConsentPage = Route("mailConsentPage", .get, MailConsenting.path, .none, isRateLimited: true)
    /// The button there.
    static let mailConsent = Route(
        "mailConsent", .post, MailConsenting.path, .none, isRateLimited: true, body: .stream)
}
