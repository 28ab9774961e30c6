import Bus
import ConfigModel
import Convergence

extension FleetConvergence {
    /// The audiences of the instances that have been heard on the bus: known also when they asked another server, or this one before it was
    /// started again.
    var audiences: [Audience] {
        ledger.instances.values.map { instance in
            Audience(
                applications: [instance.application], profiles: instance.profiles.isEmpty ? ["default"] : instance.profiles,
                label: instance.running.label)
        }
    }
}
