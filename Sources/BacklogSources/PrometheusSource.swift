package import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON

/// A Prometheus server as a source: one request for each query, however many queues share it.
package struct PrometheusSource: BacklogSource {
    package struct Queue: Sendable, Hashable {
        package var backlog: String
        /// Of a number that counts up.
        package var published: String?

        package init(backlog: String, published: String? = nil) {
            self.backlog = backlog
            self.published = published
        }
    }

    package let name: String
    private let url: String
    private let page: Page
    /// So many queries are asked at once.
    private static let concurrency = 16

    /// The server, without `/api/v1/query`.
    package init(url: String) { self.init(url: url, page: Page()) }

    init(url: String, page: Page) {
        self.page = page
        let base = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.url = base
        name = "prometheus at \(HTTPClientRequest.shown(base).drop { $0 != ":" }.dropFirst(3))"
    }

    package func read(_ queues: Set<Queue>, within limit: Duration) async -> [Queue: QueueReport] {
        let start = ContinuousClock.now
        let queries = Set(queues.flatMap { [$0.backlog, $0.published].compactMap { $0 } }).sorted()
        let numbers = await withTaskGroup(of: (String, Result<Double, Page.Problem>).self) { tasks in
            var open = queries.makeIterator()
            var numbers: [String: Result<Double, Page.Problem>] = [:]
            for _ in 0..<Self.concurrency {
                if let query = open.next() { tasks.addTask { (query, await number(query, until: start + limit)) } }
            }
            for await (query, result) in tasks {
                numbers[query] = result
                if let query = open.next() { tasks.addTask { (query, await number(query, until: start + limit)) } }
            }
            return numbers
        }
        let age = start.duration(to: .now) / .seconds(1)
        return queues.reduce(into: [:]) { reports, queue in
            guard let backlog = numbers[queue.backlog] else { return reports[queue] = .unknown("\(name) was not asked") }
            reports[queue] = QueueReport(backlog: backlog, published: queue.published.flatMap { numbers[$0] }, age: age)
        }
    }

    private func number(_ query: String, until end: ContinuousClock.Instant) async -> Result<Double, Page.Problem> {
        let left = ContinuousClock.now.duration(to: end)
        guard left > .zero else { return .failure(Page.Problem(text: "\(name) has not answered in time")) }
        let answer: JSONValue
        do throws(Page.Problem) {
            answer = try await page.get(
                "\(url)/api/v1/query?query=\(PercentEncoding.encode(query))", within: left, andBodiesOf: [400, 422, 503])
        } catch { return .failure(error) }
        switch Self.number(in: answer) {
        case .success(let count): return .success(count)
        case .failure(let problem): return .failure(Page.Problem(text: "\(name) \(problem.text) for `\(query.prefix(200))`"))
        }
    }

    /// Exactly one element, finite and from 0 on: all else is unknown, with the reason.
    static func number(in answer: JSONValue) -> Result<Double, Page.Problem> {
        guard answer["status"]?.string == "success" else {
            return .failure(Page.Problem(text: "answered `\(answer["error"]?.string ?? answer["status"]?.string ?? "without a status")`"))
        }
        let sample: JSONValue?
        switch answer["data"]?["resultType"]?.string {
        case "scalar": sample = answer["data"]?["result"]
        case "vector":
            let elements = answer["data"]?["result"]?.items ?? []
            guard elements.count == 1 else {
                let remedy = elements.isEmpty ? "no element: does the series exist?" : "\(elements.count) elements; `sum` makes one of them"
                return .failure(Page.Problem(text: "found \(remedy)"))
            }
            sample = elements[0]["value"]
        case let type:
            return .failure(Page.Problem(text: "answered with a \(type ?? "result of no type"), not with one number"))
        }
        guard let pair = sample?.items, pair.count == 2, let text = pair[1].string else {
            return .failure(Page.Problem(text: "answered without a value"))
        }
        guard let count = pair[1].count else { return .failure(Page.Problem(text: "answered `\(text)`, which is no number from 0 on,")) }
        return .success(count)
    }
}
