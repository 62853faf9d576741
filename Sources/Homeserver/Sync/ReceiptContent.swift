internal import HomeserverStorage
internal import MatrixModel

/// Receipts as clients and servers tell them.
enum ReceiptContent {
    /// The content of `m.receipt`: by event, type and user.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mreceipt>
    static func content(of receipts: [ReceiptStore.Receipt]) -> JSONValue {
        var events: [String: [String: [String: JSONValue]]] = [:]
        for receipt in receipts {
            // Of several receipts of a user on one event that of no thread is the widest.
            if receipt.thread != nil, events[receipt.eventID.text]?[receipt.type]?[receipt.user.text] != nil {
                continue
            }
            events[receipt.eventID.text, default: [:]][receipt.type, default: [:]][receipt.user.text] = data(receipt)
        }
        return .object(events.mapValues { .object($0.mapValues { .object($0) }) })
    }

    static func data(_ receipt: ReceiptStore.Receipt) -> JSONValue {
        .fields(["ts": .integer(receipt.timestamp), "thread_id": receipt.thread.map { .string($0) }])
    }
}
