/// What a supervisor of local workers has to know.
package struct LocalSettings: Sendable {
    package var policy: String
    /// Never are there more processes than this, those that leave counted in.
    package var maximum: Int
    package var command: [String]
    /// What a worker gets besides `CARILLON_POLICY` and `CARILLON_INSTANCE`: ours, then that of the policy.
    package var environment: [String: String]
    /// The folder, below the server's data, for what must outlive a server.
    package var folder: String
    package var timing: WorkerTiming

    package init(
        policy: String, maximum: Int, command: [String], environment: [String: String], folder: String,
        timing: WorkerTiming = WorkerTiming()
    ) {
        self.policy = policy
        self.maximum = maximum
        self.command = command
        self.environment = environment
        self.folder = folder
        self.timing = timing
    }

    func instance(_ number: Int) -> String { "\(policy)-\(number)" }

    func environment(of number: Int) -> [String: String] {
        environment.merging(["CARILLON_POLICY": policy, "CARILLON_INSTANCE": instance(number)]) { _, own in own }
    }

    var recordPath: String { "\(folder)/\(policy).json" }
    var lockPath: String { "\(folder)/\(policy).lock" }
}
