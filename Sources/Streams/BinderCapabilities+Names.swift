extension BinderCapabilities {
    private static let named: [(name: String, capability: BinderCapabilities)] = [
        ("durableGroups", .durableGroups), ("broadcast", .broadcast), ("orderPerKey", .orderPerKey), ("orderGlobal", .orderGlobal),
        ("nativePartitions", .nativePartitions), ("nativeDelay", .nativeDelay), ("nativeDeadLetters", .nativeDeadLetters),
        ("transactions", .transactions), ("pause", .pause), ("lag", .lag), ("restartable", .restartable),
        ("binaryHeaders", .binaryHeaders), ("replay", .replay), ("onDemand", .onDemand), ("remote", .remote), ("removable", .removable),
        ("credentials", .credentials), ("declarations", .declarations), ("mandatory", .mandatory), ("bounded", .bounded),
        ("peerBatches", .peerBatches),
    ]

    /// All that there are, in the order in which they are shown.
    package static let all = BinderCapabilities(named.map(\.capability))

    /// The names of those that are set, in a fixed order.
    package var names: [String] { Self.named.filter { contains($0.capability) }.map(\.name) }
}
