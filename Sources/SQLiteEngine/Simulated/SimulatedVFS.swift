private import GRDBSQLite
private import Glibc
private import Synchronization

/// SQLite's way to simulated disks. GRDB takes no VFS name, so it is the process's default, and passes every other path on to
/// what was the default before. Installed when the first disk is made.
enum SimulatedVFS {
    /// Paths of simulated disks begin so.
    static let root = "/simulated-disk/"

    private struct Mounted {
        weak var disk: SimulatedDisk?
    }

    private struct Registry {
        var disks: [Int: Mounted] = [:]
        var next = 0
    }

    private static let registry = Mutex(Registry())

    static func reserve() -> Int {
        _ = installed
        return registry.withLock { registry in
            registry.next += 1
            return registry.next
        }
    }

    static func mount(_ disk: SimulatedDisk) { registry.withLock { $0.disks[disk.number] = Mounted(disk: disk) } }
    static func unmount(_ number: Int) { registry.withLock { _ = $0.disks.removeValue(forKey: number) } }

    /// The disk of a path and the name on it; nil for paths of the real file system.
    fileprivate static func place(_ path: UnsafePointer<CChar>?) -> (disk: SimulatedDisk?, name: String)? {
        guard let path else { return nil }
        let text = String(cString: path)
        guard text.hasPrefix(root) else { return nil }
        let parts = text.dropFirst(root.count).split(separator: "/", maxSplits: 1)
        let disk = parts.first.flatMap { Int($0) }.flatMap { number in
            registry.withLock { $0.disks[number]?.disk }
        }
        return (disk, String(parts.last ?? ""))
    }

    /// Never changed or freed once made; SQLite keeps pointers to them.
    private struct Installed: @unchecked Sendable {
        let original: UnsafeMutablePointer<sqlite3_vfs>
        let methods: UnsafeMutablePointer<sqlite3_io_methods>
    }

    private static let installed: Installed? = install()
    fileprivate static var original: UnsafeMutablePointer<sqlite3_vfs>? { installed?.original }
    fileprivate static var methods: UnsafeMutablePointer<sqlite3_io_methods>? { installed?.methods }

    private static func install() -> Installed? {
        sqlite3_initialize()
        guard let original = sqlite3_vfs_find(nil) else { return nil }
        let vfs = UnsafeMutablePointer<sqlite3_vfs>.allocate(capacity: 1)
        vfs.initialize(to: original.pointee)
        vfs.pointee.pNext = nil
        vfs.pointee.zName = UnsafePointer(strdup("simulated"))
        vfs.pointee.szOsFile = max(original.pointee.szOsFile, Int32(MemoryLayout<OpenFile>.size))
        vfs.pointee.xOpen = simulatedOpen
        vfs.pointee.xDelete = simulatedDelete
        vfs.pointee.xAccess = simulatedAccess
        vfs.pointee.xFullPathname = simulatedFullPathname
        let methods = UnsafeMutablePointer<sqlite3_io_methods>.allocate(capacity: 1)
        methods.initialize(to: simulatedMethods())
        guard sqlite3_vfs_register(vfs, 1) == SQLITE_OK else { return nil }
        return Installed(original: original, methods: methods)
    }
}

/// SQLite's extended codes, which are macros that Swift does not see.
private enum Failure {
    static let read = SQLITE_IOERR | (Int32(1) << 8)
    static let shortRead = SQLITE_IOERR | (Int32(2) << 8)
    static let write = SQLITE_IOERR | (Int32(3) << 8)
    static let sync = SQLITE_IOERR | (Int32(4) << 8)
    static let truncate = SQLITE_IOERR | (Int32(6) << 8)
    static let size = SQLITE_IOERR | (Int32(7) << 8)
    static let delete = SQLITE_IOERR | (Int32(10) << 8)
    static let access = SQLITE_IOERR | (Int32(13) << 8)
    static let sharedMemory = SQLITE_IOERR | (Int32(21) << 8)
    static let deleteNothing = SQLITE_IOERR | (Int32(23) << 8)
}

/// What SQLite holds for an open file. It begins as a `sqlite3_file` does.
private struct OpenFile {
    var base: sqlite3_file
    var on: Unmanaged<OpenPlace>?
}

private final class OpenPlace {
    let disk: SimulatedDisk
    let name: String
    let file: SimulatedFile

    init(_ disk: SimulatedDisk, _ name: String, _ file: SimulatedFile) {
        (self.disk, self.name, self.file) = (disk, name, file)
    }
}

private func place(_ file: UnsafeMutablePointer<sqlite3_file>?) -> OpenPlace? {
    guard let file else { return nil }
    return file.withMemoryRebound(to: OpenFile.self, capacity: 1) { $0.pointee.on?.takeUnretainedValue() }
}

// MARK: Files by name

private func simulatedOpen(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ path: UnsafePointer<CChar>?,
    _ file: UnsafeMutablePointer<sqlite3_file>?, _ flags: Int32, _ outFlags: UnsafeMutablePointer<Int32>?
) -> Int32 {
    guard let found = SimulatedVFS.place(path) else {
        guard let original = SimulatedVFS.original, let open = original.pointee.xOpen else { return SQLITE_CANTOPEN }
        return open(original, path, file, flags, outFlags)
    }
    guard let file else { return SQLITE_CANTOPEN }
    file.pointee.pMethods = nil
    guard let disk = found.disk,
        let opened = disk.look({ state -> SimulatedFile? in
            if let known = state.files[found.name] { return known }
            guard flags & SQLITE_OPEN_CREATE != 0 else { return nil }
            let new = SimulatedFile()
            state.files[found.name] = new
            return new
        }), let opened
    else { return SQLITE_CANTOPEN }
    file.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
        open.pointee.base.pMethods = UnsafePointer(SimulatedVFS.methods)
        open.pointee.on = Unmanaged.passRetained(OpenPlace(disk, found.name, opened))
    }
    outFlags?.pointee = flags
    return SQLITE_OK
}

private func simulatedDelete(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ path: UnsafePointer<CChar>?, _ sync: Int32
) -> Int32 {
    guard let found = SimulatedVFS.place(path) else {
        guard let original = SimulatedVFS.original, let delete = original.pointee.xDelete else { return SQLITE_IOERR }
        return delete(original, path, sync)
    }
    let removed = found.disk?.change { $0.files.removeValue(forKey: found.name) != nil }
    return removed == nil ? Failure.delete : removed == true ? SQLITE_OK : Failure.deleteNothing
}

private func simulatedAccess(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ path: UnsafePointer<CChar>?, _ flags: Int32,
    _ result: UnsafeMutablePointer<Int32>?
) -> Int32 {
    guard let found = SimulatedVFS.place(path) else {
        guard let original = SimulatedVFS.original, let access = original.pointee.xAccess else { return SQLITE_IOERR }
        return access(original, path, flags, result)
    }
    guard let isThere = found.disk?.look({ $0.files[found.name] != nil }) else { return Failure.access }
    result?.pointee = isThere ? 1 : 0
    return SQLITE_OK
}

private func simulatedFullPathname(
    _ vfs: UnsafeMutablePointer<sqlite3_vfs>?, _ path: UnsafePointer<CChar>?, _ size: Int32,
    _ output: UnsafeMutablePointer<CChar>?
) -> Int32 {
    guard SimulatedVFS.place(path) != nil else {
        guard let original = SimulatedVFS.original, let full = original.pointee.xFullPathname else {
            return SQLITE_CANTOPEN
        }
        return full(original, path, size, output)
    }
    guard let path, let output, strlen(path) < Int(size) else { return SQLITE_CANTOPEN }
    strcpy(output, path)
    return SQLITE_OK
}

// MARK: Open files

private func simulatedMethods() -> sqlite3_io_methods {
    sqlite3_io_methods(
        iVersion: 2,
        xClose: { file in
            file?.withMemoryRebound(to: OpenFile.self, capacity: 1) { open in
                open.pointee.on?.release()
                open.pointee.on = nil
            }
            return SQLITE_OK
        },
        xRead: { file, target, count, offset in
            guard let place = place(file), let target else { return Failure.read }
            let read = place.disk.look { _ in place.file.read(Int(count), at: Int(offset), into: target) }
            return read.map { $0 == Int(count) ? SQLITE_OK : Failure.shortRead } ?? Failure.read
        },
        xWrite: { file, source, count, offset in
            guard let place = place(file), let source else { return Failure.write }
            let new = UnsafeRawBufferPointer(start: source, count: Int(count))
            return place.disk.change { _ in place.file.write(new, at: Int(offset)) } == nil
                ? Failure.write : SQLITE_OK
        },
        xTruncate: { file, size in
            guard let place = place(file) else { return Failure.truncate }
            return place.disk.change { _ in place.file.resize(to: Int(size)) } == nil
                ? Failure.truncate : SQLITE_OK
        },
        xSync: { file, _ in
            guard let place = place(file) else { return Failure.sync }
            let synced: Void? = place.disk.change { state in
                state.syncs += 1
                place.file.sync()
            }
            return synced == nil ? Failure.sync : SQLITE_OK
        },
        xFileSize: { file, size in
            guard let place = place(file), let count = place.disk.look({ _ in place.file.bytes.count }) else {
                return Failure.size
            }
            size?.pointee = Int64(count)
            return SQLITE_OK
        },
        // One connection at a time uses a disk: nobody to lock out.
        xLock: { _, _ in SQLITE_OK },
        xUnlock: { _, _ in SQLITE_OK },
        xCheckReservedLock: { _, result in
            result?.pointee = 0
            return SQLITE_OK
        },
        xFileControl: { _, _, _ in SQLITE_NOTFOUND },
        xSectorSize: { _ in 512 },
        xDeviceCharacteristics: { _ in 0 },
        xShmMap: { file, index, size, extending, region in
            guard let place = place(file) else { return Failure.sharedMemory }
            region?.pointee = place.file.sharedRegion(Int(index), size: Int(size), extending: extending != 0)
            return SQLITE_OK
        },
        xShmLock: { _, _, _, _ in SQLITE_OK },
        xShmBarrier: { _ in },
        xShmUnmap: { _, _ in SQLITE_OK },
        xFetch: nil,
        xUnfetch: nil)
}
