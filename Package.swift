// swift-tools-version: 6.2
import PackageDescription

// The upcoming features that every target is built with. A misspelt name is ignored by the compiler without a word:
// `Tests/LifecycleTests/LanguageFeaturesTests.swift` fails when one is off.
let features: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: features)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], resources: resources.map { .copy($0) },
        swiftSettings: features)
}

// C libraries from Debian 12, each imported by one Swift target only.
let cLibraries: [Target] = [
    .systemLibrary(name: "CPosix"),  // glibc calls that Swift's Glibc module hides (_GNU_SOURCE): thread names, accept4, pidfd
    .systemLibrary(name: "CMicroHTTPD"),  // libmicrohttpd-dev: HTTP server; fastest of those measured, and can be made strict
    .systemLibrary(name: "CCurl"),  // libcurl4-openssl-dev: HTTP client with TLS, proxies, streaming
    .systemLibrary(name: "CRabbitMQ"),  // librabbitmq-dev: AMQP 0-9-1
    .systemLibrary(name: "CZlib"),  // zlib1g-dev: bodies that peers have compressed (gzip, deflate, zip)
    .systemLibrary(name: "CRDKafka"),  // librdkafka-dev: the Kafka protocol, as most clients use it; with a mock cluster for tests
    .systemLibrary(name: "CHiredis"),  // libhiredis-dev: writes and reads the Redis protocol; the connection is ours (TLS, limits)
    .systemLibrary(name: "CGit2"),  // libgit2-dev: Git objects without a working tree
    .systemLibrary(name: "CSQLite"),  // libsqlite3-dev: the durable log of the embedded broker in one file
    .systemLibrary(name: "CYAML"),  // libyaml-dev: YAML 1.1 events with line and column
    .systemLibrary(name: "COpenSSL"),  // libssl-dev: hashes, HMAC, ciphers, random
    .target(name: "CGRPC"),  // libgrpc-dev: the gRPC server that KEDA asks; loaded when it is wanted, not linked
    // libprotobuf-c-dev: the messages of KEDA's external scaler, in C code that is made from the .proto and checked in.
    .target(name: "CExternalScaler", exclude: ["externalscaler.proto", "generate"], linkerSettings: [.linkedLibrary("protobuf-c")]),
]

let ground: [Target] = [
    library("Locking"),
    library("JSON"),
    library("ThreadExecutor", ["Locking", "CPosix"]),
    library("Lifecycle", ["Locking", "Telemetry"]),
    library("Telemetry", ["Locking"]),
    library("HTTP", ["Locking", "Telemetry"]),
    library("HTTPServer", ["HTTP", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CMicroHTTPD", "CPosix"]),
    library("HTTPClient", ["HTTP", "Locking", "ThreadExecutor", "CCurl", "CPosix"]),
    library("SQLite", ["CSQLite"]),
    library("Crypto", ["COpenSSL"]),
    library("Identity", ["Crypto", "HTTP"]),
    library("Settings", ["ConfigModel", "Options", "PropertyFormats"]),
    library("Options"),
    library("Files"),
    // Processes that we start and end, beside commands and as workers.
    library("Processes", ["Files", "Locking", "CPosix"]),
    library("SpringSettings", ["ConfigModel", "PropertyFormats"]),
]

let streams: [Target] = [
    library("Streams", ["JSON", "Lifecycle", "Locking", "Telemetry"]),
    library("LocalBinder", ["Streams", "Lifecycle", "Locking", "Telemetry", "SQLite", "ThreadExecutor"]),
    library(
        "RabbitMQBinder",
        ["Streams", "HTTP", "HTTPClient", "JSON", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CRabbitMQ", "CZlib", "CPosix"]),
    library("KafkaBinder", ["Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CRDKafka", "CPosix"]),
    library("RedisBinder", ["Streams", "Crypto", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CHiredis", "CPosix"]),
    library("HTTPBinder", ["Streams", "Lifecycle", "Locking", "Telemetry", "HTTP", "HTTPClient"]),
    library("Bus", ["JSON", "Streams", "Lifecycle", "Locking", "Telemetry"]),
    library("BinderConformance", ["Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CPosix"]),
    library(
        "Binders",
        [
            "Streams", "HTTPBinder", "KafkaBinder", "LocalBinder", "RabbitMQBinder", "RedisBinder", "Crypto", "HTTPClient", "Lifecycle",
            "Settings",
            "Telemetry",
        ]),
    // What every process of ours serves beside its own: health, metrics, bindings, behind its settings' door.
    library("Operations", ["Streams", "HTTP", "HTTPServer", "Identity", "JSON", "Settings", "Telemetry"]),
    library(
        "Functions",
        [
            "Streams", "Binders", "Bus", "ConfigClient", "ConfigModel", "ConfigRefresh", "HTTP", "HTTPServer", "Identity", "Lifecycle",
            "Locking", "Operations", "Options",
            "Settings", "Telemetry",
        ]),
]

let configuration: [Target] = [
    library("ConfigModel", ["JSON", "Crypto"]),
    library("PropertyFormats", ["ConfigModel", "Crypto", "JSON", "CYAML"]),
    library("ConfigRepositories", ["ConfigModel", "PropertyFormats", "Crypto", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    library(
        "GitRepository",
        ["ConfigRepositories", "ConfigModel", "Crypto", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CGit2"]),
    // A client of the configuration server that hears of changes on the bus.
    library("ConfigRefresh", ["Binders", "Bus", "ConfigClient", "Lifecycle", "Streams", "Telemetry"]),
    library(
        "ConfigClient",
        ["ConfigModel", "Crypto", "Files", "HTTP", "HTTPClient", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
]

let parts: [Target] = [
    library(
        "ConfigServer",
        ["ConfigRepositories", "ConfigModel", "PropertyFormats", "Crypto", "HTTP", "JSON", "Locking", "Telemetry"]),
    library(
        "ConfigAgent",
        [
            "Bus", "ConfigClient", "ConfigModel", "Crypto", "Files", "HTTP", "Lifecycle", "Locking", "Processes", "PropertyFormats",
            "Telemetry", "ThreadExecutor",
        ]),
    library("BusEndpoints", ["Bus", "HTTP", "JSON", "Locking", "Streams", "Telemetry"]),
    library("Channels", ["Streams", "Crypto", "Files", "HTTP", "HTTPClient", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    library("Convergence", ["Bus", "HTTP", "JSON", "Locking", "Telemetry"]),
]

let scaling: [Target] = [
    library("Autoscaler"),
    library("ScalingFormats", ["Autoscaler", "ConfigModel", "JSON", "Options", "Settings"]),
    library(
        "Orchestrators",
        [
            "Autoscaler", "ConfigModel", "Crypto", "Files", "HTTP", "HTTPClient", "JSON", "Lifecycle", "Locking", "Processes",
            "PropertyFormats", "ScalingFormats", "Telemetry", "ThreadExecutor", "CPosix",
        ]),
    // Where the law has its numbers from: brokers, metrics servers, pages.
    library(
        "BacklogSources",
        [
            "Autoscaler", "Binders", "HTTP", "HTTPClient", "JSON", "Lifecycle", "Locking", "ScalingFormats", "Settings", "Streams",
            "Telemetry",
        ]),
    library(
        "ScalerRPC", ["CExternalScaler", "CGRPC", "Crypto", "Files", "Identity", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    // The live engine: rounds, ledger, leader. It knows sources and orchestrators by their protocols only.
    library(
        "ScalingControl",
        [
            "Autoscaler", "ConfigModel", "Files", "HTTP", "JSON", "Lifecycle", "Locking", "Options", "ScalingFormats", "SQLite", "Streams",
            "Telemetry", "ThreadExecutor",
        ]),
    tests("AutoscalerTests", ["Autoscaler"]),
    // A server to be killed: the supervisor and nothing else.
    .executableTarget(
        name: "WorkerKeeper", dependencies: ["Autoscaler", "Lifecycle", "Orchestrators", "Telemetry", "ThreadExecutor"],
        path: "Tests/WorkerKeeper", swiftSettings: features),
    tests(
        "OrchestratorsTests",
        [
            "WorkerKeeper", "Orchestrators", "Autoscaler", "ConfigModel", "Crypto", "Files", "HTTP", "HTTPClient", "HTTPServer", "JSON",
            "Lifecycle", "Locking", "Processes", "PropertyFormats", "ScalingFormats", "Settings", "Telemetry", "ThreadExecutor",
        ]),
    tests(
        "BacklogSourcesTests",
        [
            "BacklogSources", "Autoscaler", "Binders", "Channels", "HTTP", "HTTPBinder", "HTTPClient", "JSON", "KafkaBinder", "LocalBinder",
            "RabbitMQBinder", "RedisBinder", "ScalingFormats", "Settings", "Streams", "Lifecycle", "Locking", "Telemetry",
        ]),
    tests("ScalerRPCTests", ["ScalerRPC", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"], resources: ["client.py"]),
    tests(
        "ScalingControlTests",
        [
            "ScalingControl", "Autoscaler", "HTTP", "JSON", "KafkaBinder", "Lifecycle", "LocalBinder", "Locking", "RabbitMQBinder",
            "RedisBinder", "ScalingFormats", "Streams", "Telemetry",
        ]),
    tests("ScalingFormatsTests", ["ScalingFormats", "Autoscaler", "ConfigModel", "JSON", "Settings"]),
]

let programs: [Target] = [
    library(
        "Roles",
        [
            "Autoscaler", "BacklogSources", "Binders", "Bus", "BusEndpoints", "Channels", "ConfigModel", "ConfigRepositories",
            "ConfigServer",
            "Convergence", "Crypto", "GitRepository", "HTTP", "HTTPClient", "HTTPServer", "Identity", "Lifecycle",
            "LocalBinder", "Locking",
            "Operations", "Orchestrators", "PropertyFormats", "ScalerRPC", "ScalingControl", "ScalingFormats", "Settings", "SpringSettings",
            "Streams", "Telemetry", "ThreadExecutor",
        ]),
    .executableTarget(
        name: "carillon",
        dependencies: [
            "Autoscaler", "BacklogSources", "BinderConformance", "Binders", "Bus", "BusEndpoints", "ConfigAgent", "ConfigClient",
            "ConfigModel",
            "HTTP", "HTTPClient",
            "HTTPServer", "Identity", "JSON",
            "Lifecycle", "Locking", "Options", "Processes",
            "Roles", "ScalingFormats",
            "Settings", "Streams", "Telemetry",
            "ThreadExecutor",
        ],
        swiftSettings: features),
]

// Ours beside raw C loops: never linked into what users run.
let benchmarks: [Target] = [
    .target(
        name: "CBenchmark",
        linkerSettings: [.linkedLibrary("microhttpd"), .linkedLibrary("rabbitmq"), .linkedLibrary("rdkafka"), .linkedLibrary("hiredis")]),
    .executableTarget(
        name: "Benchmark",
        dependencies: [
            "Autoscaler", "BacklogSources", "Binders", "CBenchmark", "HTTP", "HTTPClient", "HTTPServer", "Lifecycle", "LocalBinder",
            "Locking",
            "Roles", "ScalingControl", "Settings", "Streams", "Telemetry",
        ],
        swiftSettings: features),
]

let testTargets: [Target] = [
    .target(
        name: "TestSupport", dependencies: ["BinderConformance", "CPosix", "HTTP", "HTTPServer", "Lifecycle", "Locking", "Streams"],
        path: "Tests/TestSupport",
        swiftSettings: features),
    // The example service, which is a package of its own, so that it is built with every change here; without our settings, as outside.
    .executableTarget(name: "ExampleWorker", dependencies: ["Functions"], path: "deploy/examples/worker/Sources/worker"),
    tests("LifecycleTests", ["Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests("ProcessesTests", ["Processes", "Locking"]),
    tests("HTTPTests", ["HTTP"]),
    tests("HTTPServerTests", ["HTTPServer", "HTTP", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor", "CPosix"]),
    tests("HTTPClientTests", ["HTTPClient", "HTTPServer", "HTTP", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests("JSONTests", ["JSON"]),
    tests("CryptoTests", ["Crypto"]),
    tests("SQLiteTests", ["SQLite", "ThreadExecutor"]),
    tests("IdentityTests", ["Identity", "Crypto", "HTTP"]),
    tests("SpringSettingsTests", ["SpringSettings", "ConfigModel", "PropertyFormats"]),
    tests("SettingsTests", ["Settings", "PropertyFormats", "ConfigModel"]),
    tests("OptionsTests", ["Options"]),
    tests("StreamsTests", ["Streams", "LocalBinder", "Lifecycle", "Locking", "Telemetry"]),
    tests("LocalBinderTests", ["LocalBinder", "Streams", "Lifecycle", "Locking", "SQLite", "Telemetry"]),
    tests(
        "RabbitMQBinderTests", ["RabbitMQBinder", "CRabbitMQ", "CZlib", "Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests("KafkaBinderTests", ["KafkaBinder", "CRDKafka", "Bus", "Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests("RedisBinderTests", ["RedisBinder", "Crypto", "Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests(
        "BinderConformanceTests",
        ["Binders", "Channels", "HTTPBinder", "HTTPClient", "LocalBinder", "Streams", "Lifecycle", "Locking", "Telemetry", "CPosix"]),
    tests("BindersTests", ["Binders", "Settings", "Streams", "Telemetry"]),
    tests("OperationsTests", ["Operations", "Bus", "HTTP", "JSON", "LocalBinder", "Lifecycle", "Locking", "Streams", "Telemetry"]),
    tests(
        "FunctionsTests",
        [
            "ExampleWorker", "Functions", "Bus", "ConfigClient", "ConfigRefresh", "LocalBinder", "RabbitMQBinder", "HTTP", "HTTPClient",
            "Settings",
            "ConfigModel", "Streams", "Lifecycle", "Locking", "Telemetry",
        ]),
    tests(
        "HTTPBinderTests",
        ["HTTPBinder", "Channels", "LocalBinder", "HTTPServer", "HTTPClient", "HTTP", "Streams", "Lifecycle", "Locking", "Telemetry"]),
    tests(
        "ChannelsTests",
        [
            "Channels", "Crypto", "Files", "LocalBinder", "RabbitMQBinder", "HTTP", "HTTPClient", "Streams", "Lifecycle", "Locking",
            "Telemetry",
        ]),
    tests(
        "BusTests",
        [
            "Bus", "BusEndpoints", "Channels", "Convergence", "HTTPBinder", "JSON", "KafkaBinder", "LocalBinder", "RabbitMQBinder",
            "RedisBinder", "HTTP", "Streams",
            "Lifecycle",
            "Locking", "Telemetry",
        ]),
    tests(
        "ConvergenceTests",
        ["Convergence", "Bus", "JSON", "LocalBinder", "HTTP", "Streams", "Lifecycle", "Locking", "Telemetry", "ConfigModel"]),
    tests("ConfigModelTests", ["ConfigModel", "Crypto"]),
    tests("PropertyFormatsTests", ["PropertyFormats", "JSON", "ConfigModel", "ConfigRepositories"]),
    tests("ConfigRepositoriesTests", ["ConfigRepositories", "ConfigModel", "PropertyFormats", "Lifecycle", "Locking", "Telemetry"]),
    tests(
        "GitRepositoryTests",
        ["GitRepository", "ConfigRepositories", "ConfigModel", "PropertyFormats", "Lifecycle", "Locking", "Telemetry"]),
    tests(
        "ConfigServerTests",
        [
            "ConfigServer", "GitRepository", "ConfigRepositories", "ConfigModel", "JSON", "PropertyFormats", "HTTP", "Crypto", "Lifecycle",
            "Locking", "Telemetry", "Roles", "SpringSettings",
        ]),
    tests(
        "ConfigClientTests",
        ["ConfigClient", "ConfigModel", "Files", "HTTP", "HTTPClient", "HTTPServer", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor"]),
    tests(
        "ConfigAgentTests",
        [
            "ConfigAgent", "ConfigClient", "ConfigModel", "ConfigRepositories", "ConfigServer", "Bus", "LocalBinder", "HTTP", "HTTPServer",
            "Processes", "Streams", "Lifecycle", "Locking", "Telemetry", "ThreadExecutor",
        ]),
    tests("CarillonTests", ["carillon", "HTTP", "HTTPClient", "Locking"]),
    tests(
        "RolesTests",
        [
            "Roles", "Settings", "Bus", "ConfigServer", "ConfigModel", "ConfigRepositories", "HTTP", "HTTPClient", "JSON", "LocalBinder",
            "Streams",
            "Lifecycle",
            "Locking", "Telemetry",
        ]),
]

// `CARILLON_TESTS="StreamsTests BusTests" swift test` builds these test targets and what they need, and nothing else: minutes less on a
// small machine. Unset: everything.
let all = cLibraries + ground + streams + configuration + parts + scaling + programs + benchmarks + testTargets
let chosen: Set<String>? = Context.environment["CARILLON_TESTS"].map { names in
    var needed: Set<String> = []
    var open = names.split(separator: " ").map(String.init)
    while let name = open.popLast() {
        guard needed.insert(name).inserted, let target = all.first(where: { $0.name == name }) else { continue }
        for case .byNameItem(let dependency, _) in target.dependencies { open.append(dependency) }
    }
    return needed
}
let products: [Product] = [
    // Typed configuration with live updates, for Swift services.
    .library(name: "ConfigClient", targets: ["ConfigClient"]),
    // The same, told of changes over the message bus.
    .library(name: "ConfigRefresh", targets: ["ConfigRefresh"]),
    // Handlers attached to event channels, for Swift services.
    .library(name: "Functions", targets: ["Functions"]),
    .executable(name: "carillon", targets: ["carillon"]),
    .executable(name: "carillon-benchmark", targets: ["Benchmark"]),
]

let package = Package(
    name: "carillon",
    products: chosen == nil ? products : [],
    targets: all.filter { chosen?.contains($0.name) ?? true },
    swiftLanguageModes: [.v6]
)
