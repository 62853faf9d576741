import Cryptography
import Foundation
private import Glibc
import Homeserver
import HomeserverStorage
import MatrixModel
import SQLDatabase

/// What only this machine sees: listeners, certificates, clock, database, keys, disks.
struct InsideChecks {
    /// A certificate that ends sooner is worth a word: 14 days, in milliseconds.
    private static let certificateNotice: Int64 = 14 * 86_400_000
    /// Clocks of nodes and database that differ by more make leases unsafe, milliseconds.
    private static let clockDifference: Int64 = 2_000

    let loaded: LoadedConfiguration

    init(_ loaded: LoadedConfiguration) { self.loaded = loaded }

    // MARK: Ports and certificates

    func ports() async -> [Finding] {
        var found: [Finding] = []
        for listener in loaded.effectiveListeners {
            let host = ["::", "0.0.0.0", ""].contains(listener.bind) ? "localhost" : listener.bind
            let place = "\(listener.bind) port \(listener.port)"
            if await Self.isOpen(host, listener.port) {
                found.append(.ok(.ports, "\(place) is open"))
            } else {
                found.append(
                    .warning(
                        .ports, "nobody listens on \(place)",
                        mend: "start the server (fedchatd --config \(loaded.file)) and look at its log"))
            }
        }
        let federates = loaded.effectiveListeners.contains { $0.resources.contains(.federation) }
        if loaded.homeserver.federation.isEnabled, !federates {
            found.append(
                .problem(
                    .ports, "no listener has the resource federation",
                    mend: "add it to listeners[].resources, or set federation.enabled to false"))
        }
        return found
    }

    private static func isOpen(_ host: String, _ port: Int) async -> Bool {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var hints = addrinfo()
                hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
                var list: UnsafeMutablePointer<addrinfo>?
                var isOpen = false
                if getaddrinfo(host, String(port), &hints, &list) == 0 {
                    var next = list
                    while let entry = next, !isOpen {
                        let descriptor = socket(
                            entry.pointee.ai_family, entry.pointee.ai_socktype, entry.pointee.ai_protocol)
                        if descriptor >= 0 {
                            isOpen = connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) == 0
                            close(descriptor)
                        }
                        next = entry.pointee.ai_next
                    }
                    freeaddrinfo(list)
                }
                continuation.resume(returning: isOpen)
            }
        }
    }

    func certificates(now: Int64) -> [Finding] {
        var found: [Finding] = []
        for listener in loaded.effectiveListeners {
            guard let path = listener.certificate, let keyPath = listener.privateKey else { continue }
            guard let bytes = FileManager.default.contents(atPath: path),
                let certificate = X509Certificate(pem: [UInt8](bytes))
            else {
                found.append(
                    .problem(.certificates, "\(path) is no certificate", mend: "it must be PEM, the server's own first")
                )
                continue
            }
            let days = (certificate.notAfter - now) / 86_400_000
            if certificate.notBefore > now {
                found.append(
                    .problem(.certificates, "\(path) counts only from later on", mend: "set the clock, or get another"))
            } else if certificate.notAfter <= now {
                found.append(
                    .problem(.certificates, "\(path) has ended", mend: "renew it, then send the server SIGHUP"))
            } else if certificate.notAfter < now + Self.certificateNotice {
                found.append(
                    .warning(
                        .certificates, "\(path) ends in \(days) days", mend: "renew it, then send the server SIGHUP"))
            } else {
                found.append(.ok(.certificates, "\(path) counts for \(days) more days"))
            }
            guard let key = FileManager.default.contents(atPath: keyPath) else {
                found.append(
                    .problem(.certificates, "\(keyPath) cannot be read", mend: "let the server's user read it"))
                continue
            }
            if !certificate.matches(privateKeyPEM: [UInt8](key)) {
                found.append(
                    .problem(
                        .certificates, "\(keyPath) is not the key of \(path)", mend: "name files that belong together"))
            }
            if let mode = Self.mode(keyPath), mode & 0o007 != 0 {
                found.append(
                    .warning(.certificates, "everybody can read \(keyPath)", mend: "chmod 600 \(keyPath)"))
            }
        }
        return found
    }

    // MARK: Clock and database

    func database(now: Int64) async -> [Finding] {
        if let path = loaded.sqlitePath, !Paths.exists(path) {
            return [.ok(.database, "\(path) will be made at the first start")]
        }
        do {
            let database = try await Wiring.open(loaded)
            let found = try await database.read { connection in try look(connection, now) }
            await database.close()
            return found
        } catch {
            return [
                .problem(
                    .database, "not reachable: \(error)",
                    mend: loaded.sqlitePath == nil
                        ? "start PostgreSQL, and try the URL of database.postgres with psql"
                        : "let the server's user read and write the file and its folder")
            ]
        }
    }

    private func look(_ connection: any SQLConnection, _ now: Int64) throws -> [Finding] {
        var found: [Finding] = []
        let newest = Schema.migrations.last?.number ?? 0
        let isThere = try !connection.query(
            connection.dialect == .sqlite
                ? "SELECT 1 FROM sqlite_master WHERE name = 'schema_version'"
                : "SELECT 1 FROM information_schema.tables WHERE table_name = 'schema_version'"
        ).isEmpty
        guard isThere else { return [.ok(.database, "is empty, and will be filled at the first start")] }
        let row = try connection.query("SELECT number, oldest_compatible FROM schema_version").first
        let (number, oldest) = (try row?.int(0) ?? 0, try row?.int(1) ?? 0)
        if oldest > newest {
            found.append(
                .problem(
                    .database, "has schema \(number), which this version does not know", mend: "run a newer fedchatd"))
        } else if number < newest {
            found.append(
                .warning(
                    .database, "has schema \(number), this version \(newest)",
                    mend: "back it up, and start this version: it migrates"))
        } else {
            found.append(.ok(.database, "answers, schema \(number)"))
        }
        guard connection.dialect == .postgres else { return found }
        let time = try connection.query(
            "SELECT CAST(EXTRACT(EPOCH FROM CLOCK_TIMESTAMP()) * 1000 AS BIGINT)"
        ).first?.integer(0)
        if let time, abs(time - now) > Self.clockDifference {
            found.append(
                .warning(
                    .clock, "the database's clock differs by \(abs(time - now)) ms",
                    mend: "run chrony or systemd-timesyncd on both machines"))
        }
        let encoding = try connection.query("SHOW server_encoding").first?.text(0)
        if encoding != "UTF8" {
            found.append(
                .problem(
                    .database, "its encoding is \(encoding ?? "unknown")", mend: "make it anew with ENCODING 'UTF8'"))
        }
        return found
    }

    // MARK: Files

    func keys() -> [Finding] {
        var found: [Finding] = []
        let path = loaded.signingKeyFile
        if !Paths.exists(path) {
            found.append(.ok(.keys, "\(path) will be made at the first start"))
        } else {
            do throws(SigningKeyFiles.Failure) {
                let keys = try SigningKeyFiles(path: path).load()
                found.append(.ok(.keys, "\(path) holds \(keys.keyID), \(keys.retired.count) retired"))
            } catch {
                found.append(.problem(.keys, error.description, mend: "restore it from the backup, or mend its mode"))
            }
            if let mode = Self.mode(Paths.parent(path)), mode & 0o077 != 0 {
                found.append(
                    .warning(.keys, "others can enter \(Paths.parent(path))", mend: "chmod 700 \(Paths.parent(path))"))
            }
        }
        if loaded.homeserver.policyServer.isEnabled, Paths.exists(loaded.policyServerKeyFile) {
            let path = loaded.policyServerKeyFile
            do throws(SigningKeyFiles.Failure) {
                _ = try SigningKeyFiles(path: path).loadPolicyServerKey()
                found.append(.ok(.keys, "\(path) holds \(RoomPolicy.keyID)"))
            } catch {
                found.append(.problem(.keys, error.description, mend: "restore it from the backup, or mend its mode"))
            }
        }
        guard let file = loaded.storageKeyFile else { return found }
        do throws(SigningKeyFiles.Failure) {
            let keys = try StorageKeyFile.keys(file)
            found.append(.ok(.keys, "\(file) holds \(keys.count) keys, \(keys.first?.id ?? "none") seals"))
        } catch {
            found.append(.problem(.keys, error.description, mend: "without it the database cannot be read: restore it"))
        }
        return found
    }

    func disks() -> [Finding] {
        var folders = [loaded.dataDirectory]
        if let path = loaded.sqlitePath { folders.append(Paths.parent(path)) }
        return Set(folders).sorted().flatMap { folder -> [Finding] in
            var found: [Finding] = []
            if access(folder, W_OK | X_OK) != 0 {
                found.append(
                    .problem(
                        .disk, "\(folder) cannot be written by this user",
                        mend: "make it, and give it to the user that runs the server"))
            }
            var state = statvfs()
            guard statvfs(folder, &state) == 0 else { return found }
            let free = (UInt64(state.f_bavail) * UInt64(state.f_frsize)) >> 20
            let text = "\(folder) has \(free) MiB free"
            if free < 100 || (state.f_files > 0 && state.f_favail < 1_000) {
                found.append(.problem(.disk, text, mend: "make room: without any, nothing can be sent"))
            } else if free < 1_024 {
                found.append(.warning(.disk, text, mend: "make room before it is full"))
            } else {
                found.append(.ok(.disk, text))
            }
            return found
        }
    }

    func programs() -> [Finding] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        let isThere = path.split(separator: ":").contains { access("\($0)/vipsthumbnail", X_OK) == 0 }
        return isThere
            ? [.ok(.programs, "vipsthumbnail is there")]
            : [.warning(.programs, "there is no vipsthumbnail, so no thumbnails", mend: "apt install libvips-tools")]
    }

    private static func mode(_ path: String) -> Int? {
        (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int
    }
}
