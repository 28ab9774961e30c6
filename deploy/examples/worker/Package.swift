// swift-tools-version: 6.2
import PackageDescription

// A service of its own, outside of Carillon's package: it needs the library product `Functions` and nothing else.
let package = Package(
    name: "worker",
    dependencies: [.package(name: "carillon", path: "../../..")],
    targets: [.executableTarget(name: "worker", dependencies: [.product(name: "Functions", package: "carillon")])],
    swiftLanguageModes: [.v6]
)
