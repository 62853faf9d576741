import Homeserver
import MatrixModel

/// A configuration that was read and checked, with its paths made absolute.
struct LoadedConfiguration {
    struct ListenerSettings {
        var bind = "::"
        var port = 8008
        var certificate: String?
        var privateKey: String?
        var resources = Resource.standard
        var trustsForwarded = false
    }

    /// The configuration file; relative paths are relative to its folder.
    var file: String
    var folder: String
    var serverName: ServerName?
    var publicBaseURL: String?
    var homeserver = HomeserverConfiguration(publicBaseURL: "")
    /// What `media.s3.*` says, which counts only where `media.store` is `s3`.
    var s3 = HomeserverConfiguration.S3()
    var dataDirectory: String
    var listeners: [ListenerSettings]?
    var sqlitePath: String?
    var postgresURL: String?
    var databasePool: Int?
    var storageKeyFile: String?
    var signingKeyFile: String
    var policyServerKeyFile: String
    var customCAFiles: [String] = []
    var logLevel = "info"
    var logFormat = "text"

    init(file: String) {
        self.file = file
        let absolute = Paths.absolute(file, from: Paths.currentFolder)
        folder = Paths.parent(absolute)
        dataDirectory = folder
        signingKeyFile = folder + "/federation-keys/signing.key"
        policyServerKeyFile = folder + "/federation-keys/policy_server.key"
    }

    func path(_ text: String) -> String { Paths.absolute(text, from: folder) }

    /// The listeners, or the two that stand for none.
    var effectiveListeners: [ListenerSettings] {
        listeners ?? [ListenerSettings(bind: "::", port: 8008)]
    }
}
