import FedchatKit
import Foundation
import HTTPMessages
import Synchronization

/// The one process that owns a profile's keys: it keeps the client in step with the server and answers commands.
final class DaemonProcess: Sendable {
    private let profile: Profile
    private let connections = Mutex((count: 0, idleSince: ContinuousClock.now))

    init(_ profile: Profile) { self.profile = profile }

    /// Runs until it is asked to end, has been idle for long, or the session has ended. Returns at once if another
    /// process owns the keys.
    func run() async throws {
        signal(SIGHUP, SIG_IGN)
        _ = chdir("/")
        try profile.makeFolders()
        guard let lock = try FileLock.take(profile.lockFile) else { return }
        let opening = StoreOpening(profile: profile)
        let (session, http) = try trust(opening)
        let client = try await Client.open(
            opening.parts(try await opening.database(), try opening.key(), http), homeserver: session.homeserver)
        let listener = try UnixSocket.listen(profile.socket)
        let socket = profile.socket
        let end: @Sendable () -> Void = {
            unlink(socket)
            exit(0)
        }
        signal(SIGTERM, SIG_IGN)
        let terminating = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
        terminating.setEventHandler { end() }
        terminating.resume()
        let requests = DaemonRequests(
            client: client, opening: opening, authorityFile: session.authorityFile, end: end)
        Thread.detachNewThread { self.accept(listener, requests) }
        let syncing = Task { try await client.run() }
        while true {
            try await Task.sleep(for: .seconds(min(5, max(profile.idleSeconds, 0.5))))
            let (count, since) = connections.withLock { $0 }
            if count == 0, ContinuousClock.now - since > .seconds(profile.idleSeconds) { break }
        }
        syncing.cancel()
        unlink(profile.socket)
        withExtendedLifetime(lock) {}
        exit(0)
    }

    /// The session as it is from now on: authorities that are given and can be used take the place of those that it kept.
    /// Only who holds the profile's lock changes it.
    private func trust(_ opening: StoreOpening) throws -> (SessionFile, any HTTPClient) {
        var session = try SessionFile(of: profile)
        let kept = session.authorityFile
        session.authorityFile = profile.givenAuthorityFile ?? kept
        let http = try opening.http(authorityFile: session.authorityFile)
        if session.authorityFile != kept { try session.write(to: profile) }
        return (session, http)
    }

    private func accept(_ listener: Int32, _ requests: DaemonRequests) {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                if errno == EMFILE || errno == ENFILE { usleep(50_000) }
                continue
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            let isAdmitted = connections.withLock { connections in
                guard connections.count < RPC.maximumConnections else { return false }
                connections.count += 1
                return true
            }
            guard isAdmitted else {
                close(descriptor)
                continue
            }
            let connection = DaemonConnection(descriptor)
            Thread.detachNewThread {
                connection.serve(requests)
                self.connections.withLock { connections in
                    connections.count -= 1
                    connections.idleSince = .now
                }
            }
        }
    }
}
