internal import JSON

/// The specification of a service as the engine told it. An update replaces all of it, and an engine may know fields that we do not: so one number is
/// exchanged in the text, and every other byte goes back as it came.
struct SwarmSpec: Sendable, Hashable {
    let bytes: [UInt8]
    /// Where the number of replicas stands; where none is told, where the empty object that may hold it does.
    private let place: Range<Int>
    /// Nil where it is not told, which means 1.
    let replicas: Int?

    enum Failure: Error, Hashable {
        case garbage(String)
        /// The mode, which has no count: `Global`.
        case uncounted(String)
    }

    /// `service`: the answer that describes the service.
    init(service: [UInt8]) throws(Failure) {
        do {
            guard let range = try JSONReader.range(of: ["Spec"], in: service) else { throw Failure.garbage("it has no Spec") }
            bytes = Array(service[range])
            let mode = try JSONReader.read(bytes)["Mode"]
            guard let replicated = mode?["Replicated"], case .object(let members) = replicated else {
                throw Failure.uncounted(mode?.members.first?.name ?? "none")
            }
            if let place = try JSONReader.range(of: ["Mode", "Replicated", "Replicas"], in: bytes) {
                guard let count = replicated["Replicas"]?.count else { throw Failure.garbage("its Replicas are no count") }
                (self.place, replicas) = (place, count)
            } else {
                guard let place = try JSONReader.range(of: ["Mode", "Replicated"], in: bytes), members.isEmpty else {
                    throw Failure.garbage("its mode tells no Replicas")
                }
                (self.place, replicas) = (place, nil)
            }
        } catch let failure as Failure {
            throw failure
        } catch {
            throw Failure.garbage("\(error)")
        }
    }

    /// The same with another count.
    func with(replicas count: Int) -> [UInt8] {
        let text = replicas == nil ? "{\"Replicas\":\(count)}" : "\(count)"
        return bytes[..<place.lowerBound] + Array(text.utf8) + bytes[place.upperBound...]
    }
}
