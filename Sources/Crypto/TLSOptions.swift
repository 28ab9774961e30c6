/// Whom a TLS client trusts, and who it is.
package struct TLSOptions: Sendable, Hashable {
    /// PEM file of the authorities that may vouch for the server; nil: those that the system trusts.
    package var authorityFile: String?
    /// PEM files of the client's own certificate (with its chain) and key, where the server asks for one.
    package var certificateFile: String?
    package var keyFile: String?
    /// Off only for test servers: then anybody can stand between.
    package var verifiesPeer: Bool
    /// Whether the certificate must name the host that was dialled.
    package var verifiesHost: Bool

    package init(
        authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, verifiesPeer: Bool = true,
        verifiesHost: Bool = true
    ) {
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.verifiesPeer = verifiesPeer
        self.verifiesHost = verifiesHost
    }
}

/// Why a TLS session cannot be made or go on.
package struct TLSError: Error, Sendable, CustomStringConvertible {
    package let description: String
}
