import ConfigModel
import PropertyFormats
import SpringSettings
import Testing

@Suite struct SpringSettingsTests {
    private func read(_ text: String, _ format: PropertyFile.Format = .yaml, environment: [String: String] = [:]) throws -> SpringSettings {
        try SpringSettings(
            documents: try PropertyFile.parse(Array(text.utf8), as: format, path: "application.yml"), file: "application.yml",
            environment: environment)
    }

    @Test func `a Git server is read by its original names, in YAML and in properties alike`() throws {
        let yaml = try read(
            """
            server: {port: 8889}
            spring:
              application: {name: config-server}
              cloud:
                config:
                  server:
                    git: {uri: "https://git.example/config.git", search-paths: "common,{application}", default-label: trunk, refresh-rate: 60}
                    prefix: /config
                    accept-empty: false
                bus: {destination: fleet}
              rabbitmq: {host: rabbit, username: me, password: "p@ss/word", virtual-host: apps}
              security: {user: {password: secret}}
            """)
        let properties = try read(
            """
            server.port=8889
            spring.application.name=config-server
            spring.cloud.config.server.git.uri=https://git.example/config.git
            spring.cloud.config.server.git.searchPaths[0]=common
            spring.cloud.config.server.git.searchPaths[1]={application}
            spring.cloud.config.server.git.defaultLabel=trunk
            spring.cloud.config.server.git.refresh_rate=60
            spring.cloud.config.server.prefix=/config
            spring.cloud.config.server.acceptEmpty=no
            spring.cloud.bus.destination=fleet
            spring.rabbitmq.host=rabbit
            spring.rabbitmq.username=me
            spring.rabbitmq.password=p@ss/word
            spring.rabbitmq.virtualHost=apps
            spring.security.user.password=secret
            """, .properties)
        #expect(yaml == properties)
        #expect(yaml.port == 8889)
        #expect(yaml.prefix == "/config")
        #expect(!yaml.acceptsEmpty)
        var git = SpringSettings.Git(uri: "https://git.example/config.git")
        git.searchPaths = ["common", "{application}"]
        git.defaultLabel = "trunk"
        git.refreshRate = 60
        #expect(yaml.repositories == [.git(git)])
        #expect(yaml.bus.destination == "fleet")
        #expect(yaml.bus.application == "config-server")
        #expect(yaml.broker?.uri == "amqp://me:p%40ss%2Fword@rabbit:5672/apps")
        #expect(yaml.user == .init(name: "user", password: "secret"))
        #expect(yaml.ignored == [])
    }

    @Test func `repositories by pattern keep the order of the file and the original's defaults`() throws {
        let settings = try read(
            """
            spring.cloud.config.server.git.uri: file:///srv/default
            spring.cloud.config.server.git.repos.simple: file:///srv/simple
            spring.cloud.config.server.git.repos.team-a.pattern: "a*,b/prod"
            spring.cloud.config.server.git.repos.team-a.uri: file:///srv/a
            spring.cloud.config.server.git.repos.team-a.search-paths: cfg
            """)
        guard case .git(let git) = settings.repositories.first else { throw SpringSettingsError(message: "no git") }
        #expect(git.patterns.map(\.name) == ["simple", "team-a"])
        #expect(git.patterns.map(\.patterns) == [["simple"], ["a*", "b/prod"]])
        #expect(git.patterns.map(\.git.searchPaths) == [[], ["cfg"]])
    }

    @Test func `several kinds are ordered as their orders say, a composite as its list`() throws {
        let both = try read(
            """
            spring.profiles.active: git,native
            spring.cloud.config.server.git: {uri: "file:///srv/one", order: 2}
            spring.cloud.config.server.native: {search-locations: "file:/srv/two/", order: 1}
            """)
        #expect(both.repositories == [.native(.init(searchLocations: ["/srv/two"])), .git(.init(uri: "file:///srv/one"))])
        let composite = try read(
            """
            spring.profiles.active: composite
            spring.cloud.config.server.composite:
              - {type: git, uri: "file:///srv/one"}
              - {type: native, search-locations: "file:/srv/two"}
            """)
        #expect(composite.repositories == both.repositories.reversed())
    }

    @Test func `documents of other profiles do not count, and placeholders are filled in`() throws {
        let settings = try read(
            """
            spring.profiles.active: native
            root: /srv/${WHERE:here}
            spring.cloud.config.server.native.search-locations: "file:${root}/files"
            ---
            spring.config.activate.on-profile: git
            server.port: 1
            """, environment: ["WHERE": "there"])
        #expect(settings.port == nil)
        #expect(settings.repositories == [.native(.init(searchLocations: ["/srv/there/files"]))])
    }

    @Test(arguments: [
        (
            "spring.cloud.config.server.git.uri: a\nspring.cloud.config.server.git.proxy.https.host: p\n",
            "`spring.cloud.config.server.git.proxy.https.host`"
        ),
        (
            "spring.cloud.config.server.git.uri: a\nspring.cloud.config.server.encrypt.enabled: true\n",
            "`spring.cloud.config.server.encrypt.enabled`"
        ),
        ("spring.profiles.active: jdbc\n", "the repository `jdbc`"), ("spring.profiles.active: native,vault\n", "the repository `vault`"),
        ("server.port: 1\n", "`spring.cloud.config.server.git.uri`"),
        ("spring.cloud.config.server.git.uri: a\nserver.port: many\n", "`server.port`"),
        ("spring.profiles.active: native\nspring.cloud.config.server.native.search-locations: 'classpath:/x'\n", "class path"),
        ("spring.cloud.config.server.git.uri: a\nspring.rabbitmq.addresses: h:1,h:2\n", "`spring.rabbitmq.addresses`"),
    ])
    func `what cannot be carried out is refused by name`(text: String, says: String) {
        let error = #expect(throws: SpringSettingsError.self) { try read(text) }
        #expect(error?.message.contains(says) == true, "\(String(describing: error))")
    }

    @Test func `what means nothing here is listed, and does not stop the start`() throws {
        let settings = try read(
            """
            spring.cloud.config.server.git.uri: a
            spring.cloud.config.server.jdbc.sql: SELECT
            management.endpoints.web.exposure.include: "*"
            logging.level.root: info
            """)
        #expect(
            settings.ignored.map(\.key) == [
                "spring.cloud.config.server.jdbc.sql", "management.endpoints.web.exposure.include", "logging.level.root",
            ])
    }
}
