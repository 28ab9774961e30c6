internal import Autoscaler
internal import HTTP
internal import HTTPClient
internal import JSON

/// Asks pages for JSON. What comes instead is told in words.
struct Page: Sendable {
    struct Problem: Error, Sendable {
        var text: String
    }

    private let client: HTTPClient
    /// An answer with numbers is small; a longer one is none.
    static let answerLimit = 4 << 20

    init() { client = HTTPClient(HTTPClientConfiguration(responseLimit: Self.answerLimit, redirectLimit: 3, connectionsPerHost: 16)) }

    /// `statuses`: further ones whose bodies say more.
    func get(_ url: String, within limit: Duration, andBodiesOf statuses: Set<Int> = []) async throws(Problem) -> JSONValue {
        let shown = HTTPClientRequest.shown(url)
        let response: HTTPClientResponse
        do {
            response = try await client.send(HTTPClientRequest("GET", url, headers: ["Accept": "application/json"], totalLimit: limit))
        } catch { throw Problem(text: error.message) }
        guard response.isSuccess || statuses.contains(response.status) else {
            throw Problem(text: "\(shown) answered \(response.status), which tells no numbers")
        }
        do { return try JSONReader.read(response.body) } catch {
            guard response.isSuccess else { throw Problem(text: "\(shown) answered \(response.status), which tells no numbers") }
            throw Problem(text: "\(shown) answered with something else than JSON: \(error)")
        }
    }
}

extension QueueReport {
    /// From what pages told of a queue: without its backlog nothing is known, without its counter the rest is. `published` nil: nobody asks for it.
    init(backlog: Result<Double, Page.Problem>, published: Result<Double, Page.Problem>?, age: Seconds) {
        switch backlog {
        case .failure(let problem):
            self = .unknown(problem.text)
            return
        case .success(let count): self.init(QueueReading(backlog: Reading(count, age: age)))
        }
        switch published {
        case .success(let count): reading.published = Reading(count, age: age)
        case .failure(let problem): self.problem = problem.text
        case nil: break
        }
    }
}

extension JSONValue {
    /// A number, or text that is one; finite and from 0 on.
    var count: Double? {
        switch self {
        case .number(let text), .string(let text):
            guard let first = text.utf8.first, first != UInt8(ascii: "+"), !text.contains(where: { "xXpP".contains($0) }),
                let number = Double(text), number.isFinite, number >= 0
            else { return nil }
            return number
        case .null, .boolean, .array, .object: return nil
        }
    }
}
