internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel

/// Lets users say how far they have read. Spec: <https://spec.matrix.org/v1.19/client-server-api/#receipts>
struct ReceiptSending: RouteGroup {
    let receipts: ReceiptKeeper

    func register(on router: inout Router) {
        router.on(.postReceipt) { request, requester in try await receipt(request, requester) }
        router.on(.setReadMarker) { request, requester in try await markers(request, requester) }
    }

    private func receipt(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        let event = try request.eventID()
        let type = request.parameter("receiptType")
        var markers = ReceiptKeeper.Markers()
        if let thread = request.body["thread_id"], !thread.isNull {
            guard let name = thread.string, ReceiptKeeper.isThread(name) else {
                throw MatrixError(.invalidParameter, "thread_id is neither main nor an event id")
            }
            guard type != "m.fully_read" else {
                throw MatrixError(.invalidParameter, "thread_id does not go with m.fully_read")
            }
            markers.thread = name
        }
        switch type {
        case "m.read", "m.read.private": markers.receipts = [(type, event)]
        case "m.fully_read": markers.fullyRead = event
        default: throw MatrixError(.invalidParameter, "receiptType is not valid")
        }
        try await receipts.mark(markers, in: room, by: requester.user)
        return .empty
    }

    private func markers(_ request: APIRequest, _ requester: Requester) async throws -> APIResponse {
        let room = try request.roomID()
        var markers = ReceiptKeeper.Markers()
        markers.fullyRead = try event(request, "m.fully_read")
        for type in ["m.read", "m.read.private"] {
            if let event = try event(request, type) { markers.receipts.append((type, event)) }
        }
        try await receipts.mark(markers, in: room, by: requester.user)
        return .empty
    }

    private func event(_ request: APIRequest, _ key: String) throws(MatrixError) -> EventID? {
        guard let text = try request.optionalString(key) else { return nil }
        do { return try EventID(text) } catch {
            throw MatrixError(.invalidParameter, "\(key) is not an event id")
        }
    }
}
