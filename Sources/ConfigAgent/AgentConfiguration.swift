package import ConfigClient

/// How a running command learns of a change.
package enum ChangeMode: Sendable, Hashable {
    /// The command gets this signal.
    case signal(Int32)
    /// The command is ended and started again; when it fails by itself, it is started again after a pause.
    case restart
    /// Only files are written: the command looks at them by itself.
    case rewrite
}

/// A file that the agent writes.
package struct RenderedFile: Sendable, Hashable {
    package enum Content: Sendable, Hashable {
        /// A text file with placeholders, `${key}` or `${key:default}`; `\${` stands for `${`.
        case template(path: String)
        /// Every key as a variable, `POOL_SIZE=8`, for shells and for `EnvironmentFile=`.
        case environment
        /// The whole configuration as one file.
        case configuration(FlatFile.Format)
    }
    package var content: Content
    package var path: String
    /// Permission bits.
    package var mode: UInt32

    package init(_ content: Content, path: String, mode: UInt32 = 0o600) {
        self.content = content
        self.path = path
        self.mode = mode
    }

    /// The whole configuration in the format that the path's extension names; nil for any other extension.
    package init?(configurationAt path: String) {
        guard let dot = path.lastIndex(of: "."), let format = FlatFile.Format(rawValue: path[path.index(after: dot)...].lowercased()) else {
            return nil
        }
        self.init(.configuration(format), path: path)
    }

    /// `TEMPLATE:OUT` as on a command line, or `TEMPLATE:OUT:0644`; nil where a part is missing or the mode is none.
    package init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 || parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        var mode: UInt32 = 0o600
        if parts.count == 3 {
            guard let given = UInt32(parts[2], radix: 8), given <= 0o777 else { return nil }
            mode = given
        }
        self.init(.template(path: parts[0]), path: parts[1], mode: mode)
    }
}

/// What an agent does; the command line fills it.
package struct AgentConfiguration: Sendable {
    package var client: ConfigClientSettings
    /// Program and arguments; empty: only files are kept.
    package var command: [String]
    /// The command's folder; nil: the agent's.
    package var folder: String?
    package var files: [RenderedFile]
    /// Whether the command gets every key as a variable of its environment. A variable that the agent itself has keeps its value.
    package var passesEnvironment: Bool
    package var change: ChangeMode
    /// Runs as `sh -c CHECK sh FILE…` with the new files, before they are in place, and the new variables; unless it exits with 0, the change
    /// is not taken over.
    package var check: String?
    package var checkLimit: Duration
    /// How long the command may take to end after SIGTERM before it is killed.
    package var stopLimit: Duration
    /// The first pause before a command that failed by itself is started again; each further one doubles up to `restartLimit`.
    package var restartPause: Duration
    package var restartLimit: Duration
    /// After this time a command counts as running well, and its next failure is its first.
    package var steadyTime: Duration
    /// Fetch, write the files, end. Only without a command.
    package var runsOnce: Bool

    package init(
        client: ConfigClientSettings, command: [String] = [], folder: String? = nil, files: [RenderedFile] = [],
        passesEnvironment: Bool = true,
        change: ChangeMode = .restart, check: String? = nil, checkLimit: Duration = .seconds(10), stopLimit: Duration = .seconds(10),
        restartPause: Duration = .milliseconds(500), restartLimit: Duration = .seconds(30), steadyTime: Duration = .seconds(10),
        runsOnce: Bool = false
    ) {
        self.client = client
        self.command = command
        self.folder = folder
        self.files = files
        self.passesEnvironment = passesEnvironment
        self.change = change
        self.check = check
        self.checkLimit = checkLimit
        self.stopLimit = stopLimit
        self.restartPause = restartPause
        self.restartLimit = restartLimit
        self.steadyTime = steadyTime
        self.runsOnce = runsOnce
    }
}
