private import Glibc

/// A bounded queue into which tasks put work and from which an engine's own threads take it, waiting for it.
package final class WorkQueue<Item: Sendable>: @unchecked Sendable {
    // Guarded by `mutex`.
    private var items: [Item] = []
    private var first = 0
    private var isClosed = false
    private let limit: Int
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let arrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// - Parameter limit: how many items may wait.
    package init(limit: Int) {
        self.limit = limit
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(arrived, nil)
    }

    deinit {
        pthread_cond_destroy(arrived)
        pthread_mutex_destroy(mutex)
        arrived.deallocate()
        mutex.deallocate()
    }

    /// Why an item was not taken.
    package enum Refusal: Error {
        case full, closed
    }

    /// Puts an item at the end.
    package func add(_ item: Item) throws(Refusal) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { throw .closed }
        guard items.count - first < limit else { throw .full }
        items.append(item)
        pthread_cond_signal(arrived)
    }

    /// Waits until there is work and takes up to `maximum` items, oldest first. Blocks its thread.
    /// - Returns: no item once the queue is closed.
    package func take(upTo maximum: Int) -> [Item] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while first == items.count && !isClosed { pthread_cond_wait(arrived, mutex) }
        let end = min(items.count, first + maximum)
        let taken = Array(items[first..<end])
        first = end
        if first == items.count {
            items.removeAll(keepingCapacity: items.capacity <= 1_024)
            first = 0
        } else if first > 1_024, first * 2 > items.count {
            items.removeFirst(first)
            first = 0
        }
        return taken
    }

    /// Refuses further items and lets the threads go.
    /// - Returns: what was still waiting.
    package func close() -> [Item] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        let left = Array(items[first...])
        items = []
        first = 0
        isClosed = true
        pthread_cond_broadcast(arrived)
        return left
    }
}
