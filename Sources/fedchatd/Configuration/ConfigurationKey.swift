/// One key of the configuration file: its default, what it means and how it is taken in.
struct ConfigurationKey {
    typealias Apply = (inout LoadedConfiguration, Setting) throws(Setting.Wrong) -> Void

    /// Parts joined by dots.
    let path: String
    /// As it would stand in the file; `nil`: has none.
    let shown: String?
    /// For the file that `init` writes.
    let comment: String
    let apply: Apply

    init(_ path: String, _ shown: String?, _ comment: String, _ apply: @escaping Apply) {
        self.path = path
        self.shown = shown
        self.comment = comment
        self.apply = apply
    }

    /// `FEDCHATD_` and the path in capitals, parts joined by two underscores.
    var environmentName: String {
        "FEDCHATD_" + path.uppercased().split(separator: ".").joined(separator: "__")
    }
}
