/// First in, first out, without moving what waits.
///
/// Public, for only such code is inlined into other modules: unspecialised it costs more than what it carries.
public struct FIFO<Element> {
    @usableFromInline var items: [Element?] = []
    @usableFromInline var head = 0

    @inlinable public init() {}

    @inlinable public var count: Int { items.count - head }
    @inlinable public var isEmpty: Bool { head == items.count }
    @inlinable public var first: Element? { isEmpty ? nil : items[head] }

    @inlinable public mutating func append(_ element: Element) { items.append(element) }

    @inlinable public mutating func append(contentsOf elements: [Element]) { for element in elements { items.append(element) } }

    @inlinable public mutating func popFirst() -> Element? {
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

    @inlinable public mutating func removeAll() {
        items = []
        head = 0
    }

    /// The element at a distance from the first; nil beyond the end.
    @inlinable public subscript(offset: Int) -> Element? {
        get { offset >= 0 && offset < count ? items[head + offset] : nil }
        set { if offset >= 0 && offset < count { items[head + offset] = newValue } }
    }
}

extension FIFO: Sendable where Element: Sendable {}
