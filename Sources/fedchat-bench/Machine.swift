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
