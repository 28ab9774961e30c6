internal import ThreadExecutor

/// The thread on which supervisors make processes and write files; ends when the last of them is let go.
package final class SupervisorThread: Sendable {
    let executor = ThreadExecutor(name: "supervisor")
    package init() {}
    deinit { executor.stop() }
}
