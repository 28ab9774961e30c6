package import Autoscaler
internal import HTTPClient
internal import JSON

/// A page with numbers in JSON as a source: one request for all queues that it tells of.
package struct PageSource: BacklogSource {
    package struct Queue: Sendable, Hashable {
        package var backlog: JSONPointer
        /// Of a number that counts up.
        package var published: JSONPointer?

        package init(backlog: JSONPointer, published: JSONPointer? = nil) {
            self.backlog = backlog
            self.published = published
        }
    }

    package let name: String
    private let url: String
    private let page: Page

    package init(url: String) { self.init(url: url, page: Page()) }

    init(url: String, page: Page) {
        self.page = page
        self.url = url
        name = HTTPClientRequest.shown(url)
    }

    package func read(_ queues: Set<Queue>, within limit: Duration) async -> [Queue: QueueReport] {
        let start = ContinuousClock.now
        do throws(Page.Problem) {
            let document = try await page.get(url, within: limit)
            let age = start.duration(to: .now) / .seconds(1)
            return queues.reduce(into: [:]) { reports, queue in
                reports[queue] = QueueReport(
                    backlog: number(queue.backlog, in: document), published: queue.published.map { number($0, in: document) }, age: age)
            }
        } catch {
            return queues.reduce(into: [:]) { $0[$1] = .unknown(error.text) }
        }
    }

    private func number(_ pointer: JSONPointer, in document: JSONValue) -> Result<Double, Page.Problem> {
        guard let value = pointer.value(in: document) else {
            return .failure(Page.Problem(text: "\(name) has nothing at `\(pointer)`"))
        }
        guard let count = value.count else {
            return .failure(Page.Problem(text: "\(name) has `\(value.written.prefix(60))` at `\(pointer)`, which is no number from 0 on"))
        }
        return .success(count)
    }
}
