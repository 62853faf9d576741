internal import HomeserverStorage
internal import MatrixAPI
internal import MatrixModel
private import SQLDatabase

/// Finds files, our own and others'.
struct MediaReader: Sendable {
    /// A file that can be sent.
    struct Found: Sendable {
        let record: MediaRecord
        let hash: String
        let file: StoredFile
    }

    let environment: Environment
    let files: MediaFiles
    let remote: RemoteMedia

    static let notYetUploaded = MatrixError(.notYetUploaded, "Content has not yet been uploaded")

    /// What a request is willing to wait, milliseconds.
    func timeout(of request: APIRequest) throws(MatrixError) -> Int {
        try request.queryInteger(
            "timeout_ms", default: Int(environment.configuration.timeouts.mediaWaitDefault),
            in: 0...Int(environment.configuration.timeouts.mediaWaitMaximum))
    }

    /// Opens a file, waiting for one that was announced, fetching one that is another server's. Throws `M_NOT_FOUND`,
    /// `M_NOT_YET_UPLOADED`, or what ``RemoteMedia/fetch(_:timeout:)`` throws.
    func open(_ uri: ContentURI, timeout: Int, allowsRemote: Bool = true) async throws -> Found {
        if uri.origin == environment.serverName {
            let record = try await waitForUpload(uri, timeout: timeout)
            guard let found = try await found(record) else { throw ContentURI.notFound }
            return found
        }
        guard allowsRemote else { throw ContentURI.notFound }
        if let record = try await record(uri) {
            guard record.quarantined == nil else { throw ContentURI.notFound }
            if let found = try await found(record) { return found }
        }
        guard environment.configuration.federation.isEnabled,
            let found = try await found(remote.fetch(uri, timeout: timeout))
        else { throw ContentURI.notFound }
        return found
    }

    private func record(_ uri: ContentURI) async throws -> MediaRecord? {
        try await environment.database.read { try MediaStore($0).record(uri.origin, uri.mediaID) }
    }

    private func found(_ record: MediaRecord) async throws -> Found? {
        guard record.quarantined == nil, let hash = record.contentHash,
            let file = try await files.store.open(hash, length: record.length)
        else { return nil }
        let now = environment.clock.now()
        if now - record.lastUsed > MediaLimits.touchInterval {
            try await environment.database.groupedWrite {
                try MediaStore($0).touch(record.origin, record.mediaID, now: now)
            }
        }
        return Found(record: record, hash: hash, file: file)
    }

    /// Asks again and again, for the upload may come to another node.
    private func waitForUpload(_ uri: ContentURI, timeout: Int) async throws -> MediaRecord {
        var left = timeout
        var pause = 50
        while true {
            guard let record = try await record(uri), record.quarantined == nil else { throw ContentURI.notFound }
            if record.contentHash != nil { return record }
            guard record.created > environment.clock.now() - environment.configuration.timeouts.pendingUpload else {
                throw ContentURI.notFound
            }
            guard left > 0 else { throw Self.notYetUploaded }
            let step = min(left, pause)
            try await environment.clock.sleep(for: .milliseconds(step))
            left -= step
            pause = min(pause * 2, 1_000)
        }
    }
}
