import Channels
import Files
import HTTP
import Lifecycle
import RabbitMQBinder
import Streams
import TestSupport
import Testing

/// Channels before a broker that nobody reaches.
@Suite(.timeLimit(.minutes(2))) struct AbsentBrokerTests {
    @Test func `groups that are pulled or pushed do not hold up the end`() async throws {
        try await withTemporaryFolder { folder in
            let kept = #"{"subscriptions":[{"destination":"d","group":"pushed","url":"http://127.0.0.1:1/"}]}"#
            try PrivateFile.write(Array(kept.utf8), to: folder + "/push.json", mode: 0o600)
            let binder = RabbitMQBinder(configuration: try RabbitMQConfiguration(uri: "amqp://guest:guest@127.0.0.1:1/"))
            let channels = Channels(
                binder: binder, settings: ChannelSettings(push: PushSettings(file: folder + "/push.json")))
            try await BinderBench.withRunning(binder) {
                let (shutdown, started, ended) = (ShutdownSignal(), ShutdownSignal(), ShutdownSignal())
                let running = Task {
                    defer { ended.request() }
                    try await channels.run(ServiceLife(shutdown: shutdown, onStarted: { started.request() }))
                }
                await started.wait()
                let router = channels.router
                let pull = try #require(HTTPRequest("POST", "/channels/d/groups/g/pull?wait=60"))
                let push = try #require(HTTPRequest("GET", "/channels/d/groups/pushed/push"))
                let pulling = Task { await router.respond(to: pull).status }
                let status = await router.respond(to: push).status
                shutdown.request()
                try await eventually(within: .seconds(30), "the end of channels") { ended.isRequested }
                try await running.value
                let pulled = await pulling.value
                #expect(status == 200 && pulled == 503)
            }
        }
    }
}
