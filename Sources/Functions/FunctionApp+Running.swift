import Foundation
import HTTP
import HTTPServer
import Identity
import Lifecycle
import Operations
import Settings
import Streams
import Telemetry

extension FunctionApp {
    /// Runs until SIGTERM or SIGINT, then takes no further events, ends those in hand within 30 s, and returns; a second signal ends it at once.
    ///
    /// A broker that is away at the start, or later, is waited for. Throws `FunctionError` where functions and bindings do not fit together.
    public func run() async throws { try await group().runUntilSignal() }

    /// Runs until `end` returns, then ends in order: for services that have signals and other parts of their own.
    public func run(until end: @escaping @Sendable () async -> Void) async throws {
        let group = try group()
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                await end()
                shutdown.request()
            }
            tasks.addTask { try await group.run(ServiceLife(shutdown: shutdown)) }
            defer { tasks.cancelAll() }
            // Whichever ends first: the services, or what they were to run until.
            try await tasks.next()
            if shutdown.isRequested { try await tasks.next() }
        }
    }

    /// All parts, in the order in which they start.
    func group() throws -> ServiceGroup {
        let plan = try plan()
        for name in plan.idle { log.info("a binding is left out", ["binding": name, "reason": "`functions` does not name its function"]) }
        for input in plan.inputs { try bind(input) }
        setBound()
        var services: [any Service] = binders.sorted { $0.key < $1.key }.map(\.value)
        services += parts.flatMap(\.services) + [outputs, bindings]
        let environment = ProcessInfo.processInfo.environment
        if let answer = DrainAnswer(environment: environment, binder: binders[""], bindings: bindings, log: log) { services.append(answer) }
        if settings.serves {
            let server = HTTPServer(
                configuration: try settings.shared.httpServer(), handler: router, log: log.of("http"), metrics: metrics)
            keep(server)
            services.append(server)
        }
        return ServiceGroup(name: settings.application, services, log: log)
    }

    /// What is served over HTTP.
    var router: Router {
        var router = Router()
        router.add(middleware: settings.shared.access.middleware)
        var checks = binders.sorted { $0.key < $1.key }.map { name, binder in
            OperationsRoutes.Check(name.isEmpty ? "binder" : "binder \(name)") { binder.readiness.problem }
        }
        checks += parts.map { part in OperationsRoutes.Check(part.name) { part.readiness().problem } }
        checks.append(OperationsRoutes.Check("bindings") { [bindings] in bindings.readiness.problem })
        OperationsRoutes(checks: checks, metrics: metrics).add(to: &router)
        router.add(BindingRoutes(bindings).router)
        return router
    }

    private func bind(_ input: FunctionPlan.Input) throws {
        let binding = input.binding
        do {
            guard let binder = binders[binding.binder ?? ""] else {
                throw BinderError(.invalid, "there is no binder \(binding.binder ?? "")")
            }
            let output = try input.output.map { name throws(BinderError) in try outputs.output(name) }
            let group = try binding.group.map { name throws(BinderError) in try ConsumerGroup(name) }
            var consumers: [any EventConsumer] = []
            for name in binding.destinations {
                let destination = try Destination(name)
                for partition in binding.partitions.isEmpty ? [nil] : binding.partitions.map(Optional.some) {
                    let subscription = SubscriptionOptions(
                        prefetch: binding.prefetch, start: binding.start, deadLetters: binding.deadLetters && group != nil,
                        partition: partition)
                    consumers.append(consumer(input, destination, group, subscription, output))
                }
            }
            try bindings.add(input.name, consumers, over: binder, startsByItself: binding.startsByItself)
        } catch let error as BinderError {
            throw FunctionError(.settings, "the binding \(input.name): \(error.message)")
        } catch let error as BindingError {
            throw FunctionError(.conflict, error.description)
        }
    }

    private func consumer(
        _ input: FunctionPlan.Input, _ destination: Destination, _ group: ConsumerGroup?, _ subscription: SubscriptionOptions,
        _ output: Outputs.Output?
    ) -> any EventConsumer {
        let binding = input.binding
        // Without dead letters, giving an event up would leave it to the broker's own idea of a rejected message.
        let failure: FailurePolicy = binding.onFailure == .deadLetter && !subscription.deadLetters ? .drop : binding.onFailure
        let (outputs, metrics, chain) = (outputs, metrics, input.chain)
        let run: @Sendable ([Envelope], Int, ShutdownSignal) async throws -> Void = { given, attempt, closing in
            let envelopes = given.map { envelope in
                var envelope = envelope
                if envelope.contentType?.isEmpty ?? true { envelope.contentType = binding.contentType }
                return envelope
            }
            let context = FunctionContext(binding: input.name, destination: destination.name, attempt: attempt, envelope: envelopes[0])
            let start = ContinuousClock.now
            defer {
                metrics.time(
                    "carillon_function_seconds", ["binding": input.name], ContinuousClock.now - start,
                    help: "How long a call of a function takes, with the sending of its results.")
            }
            try await FunctionContext.$active.withValue(context) {
                let results = chain.takesBatches ? try await chain.run(envelopes) : try await chain.run(envelopes[0])
                try await outputs.publish(results, function: chain.definition, to: output, closing: closing)
            }
        }
        guard chain.takesBatches else {
            return Consumer(
                destination: destination, group: group,
                options: Consumer.Options(
                    concurrency: binding.concurrency, retry: binding.retry, failure: failure, subscription: subscription),
                log: log, metrics: metrics
            ) { event in
                try await run([event.envelope], (event.round - 1) * binding.attempts + event.call, event.closing)
            }
        }
        var options = BatchConsumer.Options()
        options.concurrency = binding.concurrency
        options.size = binding.batch?.size ?? InputBinding.Batch().size
        options.wait = binding.batch?.wait ?? InputBinding.Batch().wait
        options.retry = binding.retry
        options.failure = failure
        options.subscription = subscription
        return BatchConsumer(destination: destination, group: group, options: options, log: log, metrics: metrics) { batch in
            try await run(batch.envelopes, batch.call, batch.closing)
        }
    }
}
