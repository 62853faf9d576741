import Foundation

/// What the operating system knows of a server.
enum Machine {
    /// Resident memory of a process and its children, bytes.
    static func residentBytes(_ pid: Int32) throws -> Int {
        var total = 0
        var open = [pid]
        while let next = open.popLast() {
            guard let status = try? String(contentsOfFile: "/proc/\(next)/status", encoding: .utf8) else { continue }
            for line in status.split(separator: "\n") where line.hasPrefix("VmRSS:") {
                total +=
                    (line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) } ?? 0)
                    << 10
            }
            let children = try? String(contentsOfFile: "/proc/\(next)/task/\(next)/children", encoding: .utf8)
            open += (children ?? "").split(separator: " ").compactMap { Int32($0) }
        }
        guard total > 0 else { throw BenchFailure("there is no process \(pid)") }
        return total
    }

    /// Forgets this process's peak of memory; gives what it has now, MiB.
    static func startMeasuringPeak() -> Double {
        try? "5".write(toFile: "/proc/self/clear_refs", atomically: false, encoding: .utf8)
        return ownMebibytes("VmRSS:")
    }

    /// The most resident memory that this process had, MiB.
    static func peakMebibytes() -> Double { ownMebibytes("VmHWM:") }

    private static func ownMebibytes(_ field: String) -> Double {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        for line in status.split(separator: "\n") where line.hasPrefix(field) {
            let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
            return (number.flatMap { Double($0) } ?? 0) / 1_024
        }
        return 0
    }

    /// CPU time that a process and its children have used, seconds.
    static func processorSeconds(_ pid: Int32) -> Double? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return nil }
        // After the name: state, parent and so on; utime is the 14th of all, then stime and those of ended children.
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 14 else { return nil }
        let ticks = fields[11...14].compactMap { Double($0) }.reduce(0, +)
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The number that a shell command prints.
    static func number(printedBy command: String) throws -> Int {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        let text = String(decoding: output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard let number = Int(text) else { throw BenchFailure("\(command) printed no number") }
        return number
    }

    /// The bytes of all files below a folder, or of a file.
    static func bytes(at path: String) throws -> Int {
        let files = FileManager.default
        var isFolder: ObjCBool = false
        guard files.fileExists(atPath: path, isDirectory: &isFolder) else { throw BenchFailure("there is no \(path)") }
        func size(_ path: String) -> Int {
            let attributes = try? files.attributesOfItem(atPath: path)
            return (attributes?[.size] as? NSNumber)?.intValue ?? 0
        }
        guard isFolder.boolValue else {
            // A database in SQLite has files beside it.
            return ["", "-wal"].map { size(path + $0) }.reduce(0, +)
        }
        var total = 0
        for case let name as String in files.enumerator(atPath: path) ?? .init() where !name.hasSuffix(".log") {
            total += size("\(path)/\(name)")
        }
        return total
    }

    /// Starts a server by a shell command. Its process id is the command's.
    static func start(_ command: String) throws -> Process {
        let process = Process()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", "exec \(command)"]
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }
}
