package import ConfigModel

/// What a step of a repository really changes, and for whom: old and new merged environments compared, audience by audience.
package struct EffectiveDiff: Sendable, Hashable {
    /// An audience whose merged environment is another one now.
    package struct Change: Sendable, Hashable {
        package var audience: Audience
        /// Keys that were added, removed or have another value, sorted. Values never leave the server this way.
        package var keys: [String]
        /// Content hash of the new environment; nil where it cannot be made.
        package var hash: String?

        package init(audience: Audience, keys: [String], hash: String?) {
            self.audience = audience
            self.keys = keys
            self.hash = hash
        }
    }

    /// A message to the instances of one bus destination.
    package struct Notice: Sendable, Hashable {
        package var destination: String
        package var keys: [String]
        /// The content hash, where the notice is for one audience only.
        package var hash: String?
    }

    /// Those that changed, in the order of the audiences given.
    package let changes: [Change]
    /// How many audiences were compared.
    package let compared: Int
    private let unchanged: [Audience]

    package init(changes: [Change], unchanged: [Audience]) {
        self.changes = changes
        self.unchanged = unchanged
        compared = changes.count + unchanged.count
    }

    /// Compares both snapshots for each audience. An environment that cannot be made now counts as changed: who runs it has to be told, and answers
    /// that it failed; one that could not be made before counts as empty.
    package init(from before: any ConfigRepository, to after: any ConfigRepository, audiences: [Audience]) async {
        var changes: [Change] = []
        var unchanged: [Audience] = []
        for audience in audiences {
            let old = try? await before.environment(for: audience)
            let new: ConfigEnvironment
            do { new = try await after.environment(for: audience) } catch {
                // Neither label nor file was there before and now: nobody runs anything of it.
                if old == nil { unchanged.append(audience) } else { changes.append(Change(audience: audience, keys: [], hash: nil)) }
                continue
            }
            let keys = new.changedKeys(since: old)
            if keys.isEmpty {
                unchanged.append(audience)
            } else {
                changes.append(Change(audience: audience, keys: keys, hash: new.contentHash))
            }
        }
        self.init(changes: changes, unchanged: unchanged)
    }

    /// The fewest notices that reach every audience that changed: `**` where all of several applications changed, else `app:**` where every
    /// known audience of the application changed or one without profiles did, else `app:profile:**`. Unchanged audiences hear nothing, but for
    /// those that share a destination with one that changed.
    package var notices: [Notice] {
        let applications = Set(changes.flatMap(\.audience.applications))
        if applications.count > 1, unchanged.isEmpty { return [notice("**", changes)] }
        var result: [Notice] = []
        for application in applications.sorted() {
            let mine = changes.filter { $0.audience.applications.contains(application) }
            let all = !unchanged.contains { $0.applications.contains(application) }
            if all || mine.contains(where: { Self.profiles($0.audience).isEmpty }) {
                result.append(notice("\(application):**", mine))
                continue
            }
            for profile in Set(mine.compactMap { Self.profiles($0.audience).last }).sorted() {
                result.append(notice("\(application):\(profile):**", mine.filter { Self.profiles($0.audience).last == profile }))
            }
        }
        return result
    }

    private func notice(_ destination: String, _ changes: [Change]) -> Notice {
        Notice(
            destination: destination, keys: Set(changes.flatMap(\.keys)).sorted(), hash: changes.count == 1 ? changes[0].hash : nil)
    }

    /// The profiles that a bus id shows: `default` is not one of them.
    private static func profiles(_ audience: Audience) -> [String] { audience.profiles.filter { $0 != "default" } }
}
