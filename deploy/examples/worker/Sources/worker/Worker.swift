import Functions

struct Order: Codable, Sendable {
    var id: Int
    var item: String
    var quantity: Int
}

struct Receipt: Codable, Sendable {
    var order: Int
    var total: Int
}

/// Charges orders, and keeps a ledger of the receipts: `worker` runs until it is told to end, `worker order ID ITEM QUANTITY` sends an order.
@main
struct Worker {
    static let prices = ["bell": 20, "rope": 3]

    static func main() async throws {
        let arguments = CommandLine.arguments
        if arguments.count == 5, arguments[1] == "order", let id = Int(arguments[2]), let quantity = Int(arguments[4]) {
            try await send(Order(id: id, item: arguments[3], quantity: quantity))
        } else {
            try await work()
        }
    }

    static func work() async throws {
        let app = try FunctionApp(settings: .file("carillon.yaml"))

        app.function("charge") { (order: Order) async throws -> Receipt? in
            // An error like this is not tried again: the order goes to the dead letters of its group.
            guard let price = prices[order.item] else { throw PermanentFailure("there is no \(order.item) for sale") }
            return Receipt(order: order.id, total: price * order.quantity)
        }

        app.batch("book") { (receipts: [Receipt]) in
            print("booked \(receipts.count): \(receipts.map { "order \($0.order) for \($0.total)" }.joined(separator: ", "))")
        }

        try await app.run()  // until SIGTERM; then events in hand are ended
    }

    static func send(_ order: Order) async throws {
        let settings = try FunctionSettings.file("carillon.yaml")
        let app = try FunctionApp(settings: settings.onlySending)
        try await app.run { do { try await app.send(order, to: "orders") } catch { print("not sent: \(error)") } }
    }
}
