import Bus
public import ConfigClient
import ConfigRefresh
import Streams
import Telemetry

extension FunctionApp {
    /// Keeps `client` current while the app runs: it is started where nobody has, asks its server when a refresh comes over the bus of the
    /// app's default broker, and answers with receipts. Throws `.settings` where the bus cannot be joined, `.conflict` once the app has run.
    public func keepCurrent(_ client: ConfigClient, bus destination: String = "springCloudBus", index: String = "0") throws(FunctionError) {
        guard let binder = binders[""] else { throw FunctionError(.settings, "there is no broker") }
        guard !hasRun else { throw FunctionError(.conflict, "the app runs already: keep the configuration current before `run()`") }
        do throws(BinderError) {
            let bus = try EventBus(
                keeping: client, over: binder, destination: destination, index: index, log: log.of("bus"), metrics: metrics)
            let service = ConfigRefreshService(client, bus: bus, log: log.of("config"))
            add(Part(name: "bus", services: [bus, service]) { bus.readiness })
            bindings.show { bus.bindings }
        } catch {
            throw FunctionError(.settings, "the bus \(destination) cannot be joined: \(error.message)")
        }
    }
}
