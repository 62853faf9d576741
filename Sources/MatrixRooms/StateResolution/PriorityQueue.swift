/// Gives back the least of what was put in: a binary heap.
struct PriorityQueue<Element: Comparable> {
    /// Each element is not greater than those at twice its index plus one and plus two.
    private var elements: [Element] = []

    mutating func insert(_ element: Element) {
        var index = elements.count
        elements.append(element)
        while index > 0, elements[index] < elements[(index - 1) / 2] {
            elements.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func popMin() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let least = elements.first else { return last }
        elements[0] = last
        var index = 0
        while true {
            var smallest = index
            for child in [2 * index + 1, 2 * index + 2]
            where child < elements.count && elements[child] < elements[smallest] {
                smallest = child
            }
            if smallest == index { return least }
            elements.swapAt(index, smallest)
            index = smallest
        }
    }
}
