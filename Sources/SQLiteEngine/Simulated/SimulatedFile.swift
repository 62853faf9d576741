/// A file of a simulated disk: its bytes, and how to undo what was not synced.
final class SimulatedFile {
    private static let sector = 512

    private enum Change {
        case written(at: Int, before: [UInt8], after: [UInt8])
        case resized(from: Int, to: Int, cut: [UInt8])
    }

    private(set) var bytes: [UInt8]
    private var unsynced: [Change] = []
    /// The index of a write-ahead log, shared between connections; gone with the process.
    private var sharedRegions: [UnsafeMutableRawPointer] = []

    init(_ bytes: [UInt8] = []) { self.bytes = bytes }

    deinit { for region in sharedRegions { region.deallocate() } }

    func read(_ count: Int, at offset: Int, into target: UnsafeMutableRawPointer) -> Int {
        let there = max(0, min(count, bytes.count - offset))
        bytes.withUnsafeBytes { source in
            guard there > 0, let start = source.baseAddress else { return }
            target.copyMemory(from: start + offset, byteCount: there)
        }
        if there < count { (target + there).initializeMemory(as: UInt8.self, repeating: 0, count: count - there) }
        return there
    }

    func write(_ new: UnsafeRawBufferPointer, at offset: Int) {
        let end = offset + new.count
        if end > bytes.count { resize(to: end) }
        unsynced.append(.written(at: offset, before: Array(bytes[offset..<end]), after: Array(new)))
        bytes.withUnsafeMutableBytes { target in
            UnsafeMutableRawBufferPointer(rebasing: target[offset..<end]).copyMemory(from: new)
        }
    }

    func resize(to size: Int) {
        guard size != bytes.count else { return }
        let cut = size < bytes.count ? Array(bytes[size...]) : []
        unsynced.append(.resized(from: bytes.count, to: size, cut: cut))
        change(size)
    }

    private func change(_ size: Int) {
        if size < bytes.count {
            bytes.removeLast(bytes.count - size)
        } else {
            bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
        }
    }

    var hasUnsynced: Bool { !unsynced.isEmpty }

    func sync() { unsynced = [] }

    func afterPowerCut(keeps: () -> Bool) -> SimulatedFile {
        let file = SimulatedFile(bytes)
        for change in unsynced.reversed() {
            switch change {
            case .written(let offset, let before, _): file.put(before, at: offset)
            case .resized(let size, _, let cut):
                file.change(size)
                file.put(cut, at: size - cut.count)
            }
        }
        for change in unsynced {
            switch change {
            case .written(let offset, _, let after):
                for start in stride(from: 0, to: after.count, by: Self.sector) where keeps() {
                    let part = after[start..<min(start + Self.sector, after.count)]
                    if offset + part.endIndex > file.bytes.count { file.change(offset + part.endIndex) }
                    file.put(part, at: offset + start)
                }
            case .resized(_, let size, _): if keeps() { file.change(size) }
            }
        }
        return file
    }

    private func put(_ part: some Collection<UInt8>, at offset: Int) {
        bytes.replaceSubrange(offset..<(offset + part.count), with: part)
    }

    func sharedRegion(_ index: Int, size: Int, extending: Bool) -> UnsafeMutableRawPointer? {
        while extending, sharedRegions.count <= index {
            let region = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            region.initializeMemory(as: UInt8.self, repeating: 0, count: size)
            sharedRegions.append(region)
        }
        return index < sharedRegions.count ? sharedRegions[index] : nil
    }
}
