/// What is wrong with a configuration: one line that names the file, the key and what is expected.
struct ConfigurationError: Error, CustomStringConvertible {
    var file: String
    var key: String?
    var expected: String

    var description: String {
        key.map { "\(file): \($0): \(expected)" } ?? "\(file): \(expected)"
    }
}
