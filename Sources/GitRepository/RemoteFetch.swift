import CGit2
import ConfigRepositories
import Glibc

/// One look at a remote repository: what it has is brought into a bare mirror. Blocks; made on a thread of its own.
struct RemoteFetch: Sendable {
    let uri: GitURI
    let mirror: String
    let settings: GitSettings
    /// Commits that are served although no reference may lead to them any more.
    let served: [ObjectID]
    private static let mostPacks = 50

    init(uri: GitURI, mirror: String, settings: GitSettings, served: [ObjectID]) {
        self.uri = uri
        self.mirror = mirror
        self.settings = settings
        self.served = served
    }

    /// Makes the mirror's branches and tags those of the remote, and returns whether something moved. Throws `.unavailable` when the remote
    /// cannot be reached or refuses, and leaves the mirror as it was.
    func run(until deadline: ContinuousClock.Instant) throws(ConfigError) -> Bool {
        guard GitLibrary.isStarted else { throw ConfigError(.unavailable, "libgit2 cannot be started") }
        do throws(GitError) {
            return try alone { () throws(GitError) in
                let moved = try fetchPastLocks(until: deadline)
                let packs = MirrorPacks(mirror: mirror)
                // Only for speed: what cannot be gathered now stays where it is.
                if moved, packs.names.count > Self.mostPacks { try? packs.gather(keeping: served) }
                return moved
            }
        } catch {
            let late = ContinuousClock.now >= deadline
            let why = late ? "it did not answer within \(settings.timeLimit)" : Self.clean(error.message, of: uri)
            throw ConfigError(.unavailable, "cannot read \(uri.shown): \(why)")
        }
    }

    /// Waits until no other repository, of this process or another, changes the same mirror; makes the mirror where there is none.
    private func alone<T>(_ body: () throws(GitError) -> T) throws(GitError) -> T {
        let lock = open(mirror + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw GitError(message: "cannot write beside its mirror \(mirror): \(String(cString: strerror(errno)))") }
        defer { close(lock) }
        guard flock(lock, LOCK_EX) == 0 else { throw GitError(message: "its mirror \(mirror) is in use") }
        if access(mirror, F_OK) != 0 { try makeMirror() }
        return try body()
    }

    /// Creates the bare repository under another name first: what bears the mirror's name is whole.
    private func makeMirror() throws(GitError) {
        let new = mirror + ".new"
        var repository: OpaquePointer?
        try GitError.check(git_repository_init(&repository, new, 1))
        git_repository_free(repository)
        chmod(new, 0o700)
        guard rename(new, mirror) == 0 else {
            throw GitError(message: "cannot make its mirror \(mirror): \(String(cString: strerror(errno)))")
        }
    }

    private func fetchPastLocks(until deadline: ContinuousClock.Instant) throws(GitError) -> Bool {
        do throws(GitError) { return try fetch(Exchange(settings: settings, deadline: deadline)) } catch {
            // A process that was killed while it wrote a reference has left its lock, a machine that lost its power an empty file. Nobody else
            // writes while we are alone.
            guard clear("refs") + clear("") > 0 else { throw error }
            return try fetch(Exchange(settings: settings, deadline: deadline))
        }
    }

    /// Removes lock files, and references that say nothing; returns how many. In the mirror's own folder only the locks of its files.
    private func clear(_ folder: String) -> Int {
        let path = folder.isEmpty ? mirror : "\(mirror)/\(folder)"
        guard let stream = opendir(path) else { return 0 }
        defer { closedir(stream) }
        var removed = 0
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            var status = stat()
            guard lstat("\(path)/\(name)", &status) == 0 else { continue }
            let isFile = status.st_mode & S_IFMT == S_IFREG
            if isFile, name.hasSuffix(".lock") || !folder.isEmpty && status.st_size == 0 {
                if unlink("\(path)/\(name)") == 0 { removed += 1 }
            } else if !isFile, !folder.isEmpty {
                removed += clear("\(folder)/\(name)")
            }
        }
        return removed
    }

    private func fetch(_ exchange: Exchange) throws(GitError) -> Bool {
        var repository: OpaquePointer?
        try GitError.check(git_repository_open_bare(&repository, mirror))
        defer { git_repository_free(repository) }
        var remote: OpaquePointer?
        try GitError.check(git_remote_create_anonymous(&remote, repository, uri.connecting))
        defer { git_remote_free(remote) }

        var options = git_fetch_options()
        try GitError.check(carillon_git_fetch_options(&options))
        options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE  // they are named in the refspecs, so that moved ones follow
        options.update_fetchhead = 0
        let context = Unmanaged.passRetained(exchange)
        defer { context.release() }
        exchange.fill(&options.callbacks, payload: context.toOpaque())
        var proxy: UnsafeMutablePointer<CChar>?
        defer { free(proxy) }
        if let address = settings.proxy {
            proxy = strdup(address)
            options.proxy_opts.type = GIT_PROXY_SPECIFIED
            options.proxy_opts.url = UnsafePointer(proxy)
        } else {
            options.proxy_opts.type = GIT_PROXY_AUTO
        }

        try GitError.check(git_remote_connect(remote, GIT_DIRECTION_FETCH, &options.callbacks, &options.proxy_opts, nil))
        defer { git_remote_disconnect(remote) }
        let theirs = try Self.heads(of: remote)
        // A remote that shows nothing at all is one that is being set up again or answers in error: what we have is better.
        guard theirs.keys.contains(where: { $0.hasPrefix("refs/heads/") }) else { throw GitError(message: "it has no branches") }
        let ours = try Self.references(of: repository)
        guard ours != theirs else { return false }

        try Self.withRefspecs(["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]) { specs throws(GitError) in
            try GitError.check(git_remote_download(remote, &specs, &options))
        }
        var moved = false
        if settings.followsDeletions {
            // First, since `feature` must go before `feature/x` can come.
            for name in ours.keys where theirs[name] == nil {
                try GitError.check(git_reference_remove(repository, name))
                moved = true
            }
        }
        try GitError.check(git_remote_update_tips(remote, &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_NONE, "fetch"))
        return try Self.references(of: repository) != ours || moved
    }

    private static func heads(of remote: OpaquePointer?) throws(GitError) -> [String: ObjectID] {
        var list: UnsafeMutablePointer<UnsafePointer<git_remote_head>?>?
        var count = 0
        try GitError.check(git_remote_ls(&list, &count, remote))
        var result: [String: ObjectID] = [:]
        for index in 0..<count {
            guard let head = list?[index], let raw = head.pointee.name else { continue }
            let name = String(cString: raw)
            guard isMirrored(name) else { continue }
            result[name] = withUnsafeBytes(of: head.pointee.oid.id) { ObjectID(bytes: $0) }
        }
        return result
    }

    /// Names and what they point to, tags unpeeled, as a remote lists them.
    private static func references(of repository: OpaquePointer?) throws(GitError) -> [String: ObjectID] {
        var iterator: OpaquePointer?
        try GitError.check(git_reference_iterator_new(&iterator, repository))
        defer { git_reference_iterator_free(iterator) }
        var result: [String: ObjectID] = [:]
        var reference: OpaquePointer?
        while git_reference_next(&reference, iterator) == 0 {
            defer { git_reference_free(reference) }
            guard let raw = git_reference_name(reference), let target = git_reference_target(reference) else { continue }
            let name = String(cString: raw)
            if isMirrored(name) { result[name] = withUnsafeBytes(of: target.pointee.id) { ObjectID(bytes: $0) } }
        }
        return result
    }

    private static func isMirrored(_ name: String) -> Bool {
        (name.hasPrefix("refs/heads/") || name.hasPrefix("refs/tags/")) && !name.hasSuffix("^{}")
    }

    private static func withRefspecs(_ specs: [String], _ body: (inout git_strarray) throws(GitError) -> Void) throws(GitError) {
        let strings = UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: specs.count)
        for (index, spec) in specs.enumerated() { strings.initializeElement(at: index, to: strdup(spec)) }
        defer {
            for string in strings { free(string) }
            strings.deallocate()
        }
        var array = git_strarray(strings: strings.baseAddress, count: specs.count)
        try body(&array)
    }

    /// What the library says may repeat the address with the password in it.
    static func clean(_ message: String, of uri: GitURI) -> String {
        guard uri.connecting != uri.shown else { return message }
        var message = message.split(separator: uri.connecting, omittingEmptySubsequences: false).joined(separator: uri.shown)
        if let at = uri.connecting.lastIndex(of: "@"), let slashes = uri.connecting.firstRange(of: "//") {
            let secret = uri.connecting[slashes.upperBound..<at]
            message = message.split(separator: secret, omittingEmptySubsequences: false).joined(separator: "…")
        }
        return message
    }
}
