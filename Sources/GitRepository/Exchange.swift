import CGit2
import Crypto
import Glibc

/// What libgit2 asks during one look at a remote: who we are, whether the server is the right one, and whether to go on.
///
/// Lives as long as the look; only used on the thread that makes it.
final class Exchange {
    private let settings: GitSettings
    private let deadline: ContinuousClock.Instant
    /// Each way to authenticate is tried once, or the library would ask for ever.
    private var tried: Set<String> = []

    init(settings: GitSettings, deadline: ContinuousClock.Instant) {
        self.settings = settings
        self.deadline = deadline
    }

    /// `payload` must be this object, retained for as long as the callbacks are in use.
    func fill(_ callbacks: inout git_remote_callbacks, payload: UnsafeMutableRawPointer) {
        callbacks.payload = payload
        callbacks.credentials = { out, _, name, allowed, payload in
            Exchange.of(payload)?.credential(out, name.map { String(cString: $0) }, allowed) ?? -1
        }
        callbacks.transfer_progress = { _, payload in Exchange.of(payload)?.goesOn ?? -1 }
        callbacks.sideband_progress = { _, _, payload in Exchange.of(payload)?.goesOn ?? -1 }
        if !settings.checksServer || settings.hostKey != nil {
            callbacks.certificate_check = { certificate, valid, _, payload in
                Exchange.of(payload)?.accepts(certificate, isValid: valid != 0) ?? -1
            }
        }
    }

    private static func of(_ payload: UnsafeMutableRawPointer?) -> Exchange? {
        payload.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
    }

    private var goesOn: Int32 { ContinuousClock.now < deadline ? 0 : -1 }

    private func accepts(_ certificate: UnsafeMutablePointer<git_cert>?, isValid: Bool) -> Int32 {
        guard settings.checksServer else { return 0 }
        guard let certificate, certificate.pointee.cert_type == GIT_CERT_HOSTKEY_LIBSSH2, let wanted = settings.hostKey else {
            return isValid ? 0 : GIT_ECERTIFICATE.rawValue
        }
        let key = UnsafeRawPointer(certificate).assumingMemoryBound(to: git_cert_hostkey.self).pointee
        guard key.type.rawValue & GIT_CERT_SSH_RAW.rawValue != 0, let raw = key.hostkey else { return GIT_ECERTIFICATE.rawValue }
        let bytes = UnsafeRawBufferPointer(start: raw, count: key.hostkey_len)
        return bytes.elementsEqual(Base64.decode(wanted) ?? []) ? 0 : GIT_ECERTIFICATE.rawValue
    }

    private func credential(_ out: UnsafeMutablePointer<UnsafeMutablePointer<git_credential>?>?, _ name: String?, _ allowed: UInt32)
        -> Int32
    {
        func allows(_ kind: git_credential_t) -> Bool { allowed & kind.rawValue != 0 }
        let credentials = settings.credentials
        let user = name ?? credentials.username ?? "git"
        if allows(GIT_CREDENTIAL_SSH_KEY) {
            if let key = credentials.privateKey {
                guard tried.insert("key").inserted else { return failed("the server does not accept the private key") }
                return git_credential_ssh_key_memory_new(out, user, nil, key, credentials.passphrase)
            }
            if let file = credentials.privateKeyFile {
                guard tried.insert("file").inserted else { return failed("the server does not accept the key in \(file)") }
                return git_credential_ssh_key_new(out, user, nil, file, credentials.passphrase)
            }
            if getenv("SSH_AUTH_SOCK") != nil, tried.insert("agent").inserted { return git_credential_ssh_key_from_agent(out, user) }
            for kind in ["id_ed25519", "id_ecdsa", "id_rsa"] {
                guard let home = getenv("HOME") else { break }
                let file = "\(String(cString: home))/.ssh/\(kind)"
                guard access(file, R_OK) == 0, tried.insert(kind).inserted else { continue }
                return git_credential_ssh_key_new(out, user, nil, file, credentials.passphrase)
            }
        }
        if allows(GIT_CREDENTIAL_USERPASS_PLAINTEXT), let password = credentials.password {
            guard tried.insert("password").inserted else { return failed("the server does not accept the username and password") }
            return git_credential_userpass_plaintext_new(out, credentials.username ?? name ?? "git", password)
        }
        if allows(GIT_CREDENTIAL_USERNAME), tried.insert("name").inserted { return git_credential_username_new(out, user) }
        return failed("the server asks for credentials, and none that it accepts are configured")
    }

    private func failed(_ message: String) -> Int32 {
        git_error_set_str(Int32(GIT_ERROR_NET.rawValue), message)
        return GIT_EAUTH.rawValue
    }
}
