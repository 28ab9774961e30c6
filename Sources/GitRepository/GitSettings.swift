package import ConfigRepositories

/// Which Git repository, and how it is read.
package struct GitSettings: Sendable, Hashable {
    /// When a remote repository is looked at.
    package enum Freshness: Sendable, Hashable {
        /// In the background, this often, with jitter; answers never wait for the network.
        case background(every: Duration)
        /// Before an answer, when the last look is older than this; zero looks before each answer.
        case onRequest(olderThan: Duration)
        /// Only when told: by a web hook, or by a label that is not known.
        case onDemand
    }

    /// How to prove who we are to a remote. Never shown in logs, errors or answers.
    package struct Credentials: Sendable, Hashable, CustomStringConvertible {
        /// With `password`: HTTP basic authentication; for ssh the name in the uri wins.
        package var username: String?
        /// A password or an access token.
        package var password: String?
        /// An ssh private key, as text or as a file; without one the agent and then the files in `~/.ssh` are tried.
        package var privateKey: String?
        package var privateKeyFile: String?
        package var passphrase: String?
        package init(
            username: String? = nil, password: String? = nil, privateKey: String? = nil, privateKeyFile: String? = nil,
            passphrase: String? = nil
        ) {
            self.username = username
            self.password = password
            self.privateKey = privateKey
            self.privateKeyFile = privateKeyFile
            self.passphrase = passphrase
        }
        package var description: String { "credentials" }
    }

    /// A path, `file:`, `https:`, `http:`, `ssh:`, `git:` or `user@host:path`. May have `{application}`, `{profile}` and `{label}` in its path.
    package var uri: String
    /// Folders below the root, in rising precedence; with placeholders and `*`. The root is always read first.
    package var searchPaths: [String]
    package var defaultLabel: String
    /// Where the default label is `main` and there is no such branch, `master` is read.
    package var triesMaster: Bool
    package var freshness: Freshness
    /// How long one look may take.
    package var timeLimit: Duration
    /// Branches and tags that were deleted in the remote are not served on.
    package var followsDeletions: Bool
    /// Of several labels asked for at once, those that do not exist are left out as long as one does.
    package var skipsMissingLabels: Bool
    /// A new commit is served only when every changed property file of it can be read.
    package var validates: Bool
    /// Whether a profile must consist of letters, digits and `-_.+@`.
    package var checksProfiles: Bool
    /// What it means that there is nothing at the path of a repository on this machine: `.unavailable`, or `.notFound` where others may answer.
    package var absence: ConfigError.Code
    package var credentials: Credentials
    /// Whether certificates and host keys are checked; false is for closed test networks only.
    package var checksServer: Bool
    /// The host key that an ssh server must have, in base64; nil: `~/.ssh/known_hosts` decides.
    package var hostKey: String?
    /// `http://host:port` of a proxy; nil: what the environment and Git's own settings say.
    package var proxy: String?

    package init(
        uri: String, searchPaths: [String] = [], defaultLabel: String = "main", triesMaster: Bool = true,
        freshness: Freshness = .background(every: .seconds(30)), timeLimit: Duration = .seconds(20), followsDeletions: Bool = true,
        skipsMissingLabels: Bool = false, validates: Bool = true, checksProfiles: Bool = true,
        absence: ConfigError.Code = .unavailable, credentials: Credentials = Credentials(), checksServer: Bool = true,
        hostKey: String? = nil, proxy: String? = nil
    ) {
        self.uri = uri
        self.searchPaths = searchPaths
        self.defaultLabel = defaultLabel
        self.triesMaster = triesMaster
        self.freshness = freshness
        self.timeLimit = timeLimit
        self.followsDeletions = followsDeletions
        self.skipsMissingLabels = skipsMissingLabels
        self.validates = validates
        self.checksProfiles = checksProfiles
        self.absence = absence
        self.credentials = credentials
        self.checksServer = checksServer
        self.hostKey = hostKey
        self.proxy = proxy
    }
}
