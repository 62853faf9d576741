import SQLDatabase
import Testing

@Suite("Notifications that nobody reads in time") struct NotificationHubTests {
    @Test func `the oldest are lost, and the reader learns of it`() async {
        let hub = NotificationHub()
        let (slow, quick) = (hub.stream(), hub.stream())
        var reader = quick.makeAsyncIterator()
        let count = SQLLimits.bufferedNotifications + 10
        for number in 0..<count {
            hub.send(["n \(number)"])
            #expect(await reader.next() == "n \(number)")
        }
        hub.finish()
        #expect(await reader.next() == nil)
        var found: [String] = []
        for await notification in slow { found.append(notification) }
        #expect(found.count == SQLLimits.bufferedNotifications)
        #expect(!found.contains("n 0"))
        #expect(found.last == "")
        #expect(found.contains("n \(count - 1)"))
    }

    @Test func `one payload more than fits loses one, and what fits loses nothing`() async {
        let hub = NotificationHub()
        let stream = hub.stream()
        hub.send((0..<SQLLimits.bufferedNotifications).map { "\($0)" })
        hub.finish()
        var found: [String] = []
        for await notification in stream { found.append(notification) }
        #expect(found == (0..<SQLLimits.bufferedNotifications).map { "\($0)" })
        var late = hub.stream().makeAsyncIterator()
        #expect(await late.next() == nil)
    }
}
