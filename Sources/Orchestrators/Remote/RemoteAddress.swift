internal import Autoscaler
internal import HTTPClient

/// Reading the addresses of settings.
enum RemoteAddress {
    /// An http or https URL, without a slash at its end. `name`: the target, for messages.
    static func http(_ text: String, _ name: String) throws(TargetError) -> String {
        guard HTTPClientRequest.address(of: text) != nil, !text.contains("?"), !text.contains("#") else {
            throw TargetError(.rejected, "\(name): `\(HTTPClientRequest.shown(text))` is no address: an http or https URL is needed")
        }
        var address = text
        while address.hasSuffix("/") { address.removeLast() }
        return address
    }
}
