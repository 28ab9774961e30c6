internal import CExternalScaler

/// The object of the cluster that asks: its name, and what its trigger says of the policy.
struct ScaledObject: Sendable, Hashable {
    var name: String
    var metadata: [String: String]

    /// `scalerMetadata.policy` names the policy; without it the object's own name does.
    var policy: String { metadata["policy"].flatMap { $0.isEmpty ? nil : $0 } ?? name }
}

extension ScaledObject {
    /// Reads a ScaledObjectRef.
    init(_ bytes: [UInt8]) throws(RPCStatus) {
        guard let message = externalscaler__scaled_object_ref__unpack(nil, bytes.count, bytes) else {
            throw .unreadable("the request is no ScaledObjectRef")
        }
        defer { externalscaler__scaled_object_ref__free_unpacked(message, nil) }
        try self.init(message.pointee)
    }

    /// Reads a GetMetricsRequest. There is one metric, so that it does not matter which one it asks for.
    init(metricsRequest bytes: [UInt8]) throws(RPCStatus) {
        guard let message = externalscaler__get_metrics_request__unpack(nil, bytes.count, bytes) else {
            throw .unreadable("the request is no GetMetricsRequest")
        }
        defer { externalscaler__get_metrics_request__free_unpacked(message, nil) }
        _ = try Self.text(message.pointee.metricname, "metricName")
        // What was not sent is NULL.
        guard let object = message.pointee.scaledobjectref else { throw .unreadable("the request has no scaledObjectRef") }
        try self.init(object.pointee)
    }

    private init(_ message: Externalscaler__ScaledObjectRef) throws(RPCStatus) {
        name = try Self.text(message.name, "name")
        _ = try Self.text(message.namespace_, "namespace")
        metadata = [:]
        for case let entry? in UnsafeBufferPointer(start: message.scalermetadata, count: message.n_scalermetadata) {
            let key = try Self.text(entry.pointee.key, "a key of scalerMetadata")
            metadata[key] = try Self.text(entry.pointee.value, "a value of scalerMetadata")
        }
        guard !policy.isEmpty else {
            throw .unreadable("the request names no policy: scalerMetadata.policy or the ScaledObject's name does")
        }
    }

    private static func text(_ bytes: ProtobufCBinaryData, _ what: String) throws(RPCStatus) -> String {
        guard let text = String(validating: UnsafeBufferPointer(start: bytes.data, count: bytes.len), as: UTF8.self) else {
            throw .unreadable("\(what) is not UTF-8")
        }
        return text
    }
}

extension RPCStatus {
    fileprivate static func unreadable(_ message: String) -> RPCStatus { RPCStatus(.invalidArgument, message) }
}

/// The answers as bytes.
enum ScalerAnswer {
    static func isActive(_ isActive: Bool) -> [UInt8] {
        var message = Externalscaler__IsActiveResponse()
        externalscaler__is_active_response__init(&message)
        message.result = isActive ? 1 : 0
        return packed(externalscaler__is_active_response__get_packed_size(&message)) {
            externalscaler__is_active_response__pack(&message, $0)
        }
    }

    /// One instance for each that is desired: the target is 1, in the field of old versions of KEDA and in that of new ones.
    static func specification(metric: String) -> [UInt8] {
        var name = Array(metric.utf8CString)
        return name.withUnsafeMutableBufferPointer { name in
            var item = Externalscaler__MetricSpec()
            externalscaler__metric_spec__init(&item)
            item.metricname = name.baseAddress
            item.targetsize = 1
            item.targetsizefloat = 1
            return withUnsafeMutablePointer(to: &item) { item in
                var items: UnsafeMutablePointer<Externalscaler__MetricSpec>? = item
                return withUnsafeMutablePointer(to: &items) { items in
                    var message = Externalscaler__GetMetricSpecResponse()
                    externalscaler__get_metric_spec_response__init(&message)
                    message.n_metricspecs = 1
                    message.metricspecs = items
                    return packed(externalscaler__get_metric_spec_response__get_packed_size(&message)) {
                        externalscaler__get_metric_spec_response__pack(&message, $0)
                    }
                }
            }
        }
    }

    /// KEDA takes the field with a fraction where it is above 0, else the other one: both say the same.
    static func value(_ value: Int, metric: String) -> [UInt8] {
        var name = Array(metric.utf8CString)
        return name.withUnsafeMutableBufferPointer { name in
            var item = Externalscaler__MetricValue()
            externalscaler__metric_value__init(&item)
            item.metricname = name.baseAddress
            item.metricvalue = Int64(value)
            item.metricvaluefloat = Double(value)
            return withUnsafeMutablePointer(to: &item) { item in
                var items: UnsafeMutablePointer<Externalscaler__MetricValue>? = item
                return withUnsafeMutablePointer(to: &items) { items in
                    var message = Externalscaler__GetMetricsResponse()
                    externalscaler__get_metrics_response__init(&message)
                    message.n_metricvalues = 1
                    message.metricvalues = items
                    return packed(externalscaler__get_metrics_response__get_packed_size(&message)) {
                        externalscaler__get_metrics_response__pack(&message, $0)
                    }
                }
            }
        }
    }

    /// A message of which every field has its default has no bytes at all.
    private static func packed(_ size: Int, _ pack: (UnsafeMutablePointer<UInt8>) -> Int) -> [UInt8] {
        guard size > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            if let base = buffer.baseAddress { count = pack(base) }
        }
    }
}
