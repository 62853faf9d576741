import Foundation
import Homeserver
import Logging
import MatrixModel

/// Writes a line of text or JSON for each log message to stderr.
struct LineLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    private let settings: LogSettings
    /// Of this logger alone, if somebody has set it.
    private var ownLevel: Logger.Level?

    init(_ settings: LogSettings) { self.settings = settings }

    var logLevel: Logger.Level {
        get { ownLevel ?? settings.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let time =
            Date().formatted(
                .iso8601.year().month().day().dateTimeSeparator(.standard).time(includingFractionalSeconds: true)) + "Z"
        let line: String
        if settings.isJSON {
            var object: [String: JSONValue] = [
                "time": .string(time), "level": .string(event.level.rawValue), "message": .string("\(event.message)"),
            ]
            for (key, value) in all { object[key] = .string("\(value)") }
            line = String(decoding: JSONValue.object(object).serialized(), as: UTF8.self)
        } else {
            let fields = all.sorted { $0.key < $1.key }.map { " \($0.key)=\(Self.printable("\($0.value)"))" }.joined()
            line = "\(time) \(event.level.rawValue) \(Self.printable("\(event.message)"))\(fields)"
        }
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    /// Text whose control characters cannot forge a line.
    private static func printable(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }))
    }
}
