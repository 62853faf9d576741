/// A set that forgets what it was given first.
struct BoundedSet<Element: Hashable & Sendable>: Sendable {
    private let limit: Int
    private var elements: Set<Element> = []
    private var order: [Element] = []

    init(limit: Int) { self.limit = limit }

    func contains(_ element: Element) -> Bool { elements.contains(element) }

    /// Whether it is new.
    @discardableResult
    mutating func insert(_ element: Element) -> Bool {
        guard elements.insert(element).inserted else { return false }
        order.append(element)
        if order.count > limit {
            let gone = order.prefix(max(limit / 4, 1))
            for element in gone { elements.remove(element) }
            order.removeFirst(gone.count)
        }
        return true
    }
}
