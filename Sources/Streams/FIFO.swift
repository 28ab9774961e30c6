/// First in, first out, without moving what waits.
package struct FIFO<Element> {
    private var items: [Element?] = []
    private var head = 0

    package init() {}

    package var count: Int { items.count - head }
    package var isEmpty: Bool { head == items.count }
    package var first: Element? { isEmpty ? nil : items[head] }

    package mutating func append(_ element: Element) { items.append(element) }

    package mutating func append(contentsOf elements: [Element]) { for element in elements { items.append(element) } }

    package mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if head == items.count {
            items.removeAll(keepingCapacity: items.count < 4096)
            head = 0
        } else if head >= 1024, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    package mutating func removeAll() {
        items = []
        head = 0
    }

    /// The element at a distance from the first; nil beyond the end.
    package subscript(offset: Int) -> Element? {
        get { offset >= 0 && offset < count ? items[head + offset] : nil }
        set { if offset >= 0 && offset < count { items[head + offset] = newValue } }
    }
}

extension FIFO: Sendable where Element: Sendable {}
