import Settings

/// What functions are bound to, and over which brokers.
///
/// Bindings are named as Spring Cloud Stream names them: `charge-in-0` is the first input of the function `charge`, `charge-out-0` takes its
/// results, `audit|charge-in-0` is the input of both, one after the other.
public struct FunctionSettings: Sendable {
    /// The service's name, as brokers show it.
    public var application = "service"
    public var inputs: [String: InputBinding] = [:]
    /// Also those that nobody but `FunctionApp.send` uses.
    public var outputs: [String: OutputBinding] = [:]
    /// Which functions and compositions are bound: `["charge", "audit|sum"]`. Empty: all that have bindings.
    public var functions: [String] = []
    /// Brokers, server, access and log, in Carillon's own form.
    var shared = CarillonSettings()
    /// Whether bindings, health and metrics are served over HTTP.
    var serves = false

    init() {}

    /// Settings for one broker: `amqp://user:password@host:5672/vhost`, or another URI that Carillon has a binder for. Give them inputs and
    /// outputs.
    public static func binder(_ uri: String) -> FunctionSettings {
        var settings = FunctionSettings()
        settings.shared.binder = uri
        return settings
    }

    /// The same without inputs and without a server: for a process that only sends.
    public var onlySending: FunctionSettings {
        var settings = self
        settings.inputs = [:]
        settings.functions = []
        settings.outputs = outputs.filter { BindingName($0.key) == nil }
        settings.serves = false
        return settings
    }

    /// Adds a broker that bindings may name.
    public mutating func addBinder(_ name: String, _ uri: String) { shared.binders[name] = CarillonSettings.Broker(uri: uri) }

    /// Serves `/actuator/bindings`, `/health/live`, `/health/ready` and `/metrics` there; port 0 is any free one.
    public mutating func serve(address: String = "127.0.0.1", port: Int) {
        shared.server.address = address
        shared.server.port = port
        serves = true
    }
}
