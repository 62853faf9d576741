internal import HomeserverStorage
internal import MatrixModel

/// Receipts as clients and servers tell them.
enum ReceiptContent {
    /// The contents of `m.receipt` events: by event, type and user. One event cannot hold two receipts of a user on the same
    /// event for different threads: what does not fit goes into the next.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mreceipt>
    static func contents(of receipts: [ReceiptStore.Receipt]) -> [JSONValue] {
        var rest = receipts
        var contents: [JSONValue] = []
        while !rest.isEmpty {
            var events: [String: [String: [String: JSONValue]]] = [:]
            var later: [ReceiptStore.Receipt] = []
            for receipt in rest {
                if events[receipt.eventID.text]?[receipt.type]?[receipt.user.text] != nil {
                    later.append(receipt)
                } else {
                    events[receipt.eventID.text, default: [:]][receipt.type, default: [:]][receipt.user.text] = data(
                        receipt)
                }
            }
            contents.append(.object(events.mapValues { .object($0.mapValues { .object($0) }) }))
            rest = later
        }
        return contents
    }

    /// The content of one event, where there can be no second: of several receipts of a user on one event that of no thread,
    /// the widest, else the newest.
    static func merged(_ receipts: [ReceiptStore.Receipt]) -> JSONValue {
        let sorted = receipts.sorted { left, right in
            left.thread == nil && right.thread != nil
                || (left.thread == nil) == (right.thread == nil)
                    && left.timestamp > right.timestamp
        }
        return contents(of: sorted).first ?? [:]
    }

    static func data(_ receipt: ReceiptStore.Receipt) -> JSONValue {
        .fields(["ts": .integer(receipt.timestamp), "thread_id": receipt.thread.map { .string($0) }])
    }
}
