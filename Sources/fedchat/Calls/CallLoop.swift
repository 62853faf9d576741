import FedchatKit
import Foundation
import MatrixModel

/// Where a signal's number is written.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// One call, seen from the command: the process that owns the keys, the media program, the keyboard and signals, all
/// waited for at once.
final class CallLoop {
    private let options: CommonOptions
    private let daemon: DaemonClient
    private let mediaCommand: String?
    private var media: MediaProgram?
    private var wasMediaStopped = false
    private var typed = LineBuffer(limit: 1_024)
    private var readsKeyboard = true
    /// The status of a signal that ends the call.
    private var interruption: Int32?
    private var deadline: Date?

    init(_ options: CommonOptions, _ daemon: DaemonClient, mediaCommand: String?) {
        self.options = options
        self.daemon = daemon
        self.mediaCommand = mediaCommand
    }

    /// Asks for the call, and runs it to its end. Returns the exit status; throws what the other process does.
    func run(_ method: String, _ params: JSONValue) throws -> Int32 {
        let signals = try catchSignals()
        defer { media?.end() }
        let id = try daemon.begin(method, params)
        while true {
            var waiting = [
                pollfd(fd: daemon.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: readsKeyboard ? 0 : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: media.map { $0.hasEnded ? -1 : $0.output } ?? -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: media?.waitingInput ?? -1, events: Int16(POLLOUT), revents: 0),
            ]
            let left = deadline.map { Int32(max($0.timeIntervalSinceNow, 0) * 1_000) } ?? -1
            let count = poll(&waiting, nfds_t(waiting.count), left)
            if let deadline, deadline <= Date(), let interruption { return interruption }
            guard count > 0 else { continue }
            if waiting[1].revents != 0, let status = try readSignal(signals) { return status }
            if waiting[2].revents != 0 { try readKeyboard() }
            if waiting[4].revents != 0 { media?.flush() }
            if waiting[3].revents != 0 { try readMedia() }
            if waiting[0].revents != 0, let status = try readDaemon(id) { return interruption ?? status }
        }
    }

    // MARK: The process that owns the keys

    private func readDaemon(_ id: Int64) throws -> Int32? {
        for message in try daemon.received() {
            if message["method"]?.string == "event", let params = message["params"] {
                if let report = params["report"] { show(report) }
                if let line = params["media"] { try tellMedia(line) }
            } else if message["method"]?.string == "notice", var notice = message["params"] {
                notice["event"] = "notice"
                notice["detail"] = .string(DaemonClient.text(of: notice))
                show(notice)
            } else if message["id"]?.integer == id {
                if let result = message["result"] { return Int32(clamping: result["status"]?.integer ?? 2) }
                throw DaemonClient.failure(message)
            }
        }
        return nil
    }

    // MARK: The media program

    private func tellMedia(_ line: JSONValue) throws {
        if media == nil {
            guard line["type"]?.string == "start", let mediaCommand else { return }
            media = try MediaProgram(mediaCommand)
        }
        if line["type"]?.string == "stop" { wasMediaStopped = true }
        if media?.write(line) == false { try mediaEnded("does not read") }
    }

    private func readMedia() throws {
        guard let media else { return }
        for line in media.read() {
            if line["type"]?.string == "note" {
                show(["event": "note", "note": line["note"] ?? .null])
            } else {
                try daemon.tell("command", ["do": "media", "line": line])
            }
        }
        if media.hasEnded { try mediaEnded("has ended, or wrote what is no line of JSON") }
    }

    private func mediaEnded(_ how: String) throws {
        guard !wasMediaStopped else { return }
        wasMediaStopped = true
        FileHandle.standardError.write(Data("fedchat: the media program \(how)\n".utf8))
        try daemon.tell("command", ["do": "media_gone"])
    }

    // MARK: The user

    private func readKeyboard() throws {
        var piece = [UInt8](repeating: 0, count: 1_024)
        let count = piece.withUnsafeMutableBytes { read(0, $0.baseAddress, $0.count) }
        guard count > 0 else {
            readsKeyboard = count < 0 && errno == EINTR
            return
        }
        for line in typed.take(piece[..<count]) {
            let word = String(decoding: line, as: UTF8.self).filter { !$0.isWhitespace }.lowercased()
            let names = [
                "answer": "accept", "accept": "accept", "reject": "reject", "hangup": "hangup", "hold": "hold",
                "resume": "resume",
            ]
            if let name = names[word] {
                try daemon.tell("command", ["do": .string(name)])
            } else if !word.isEmpty {
                FileHandle.standardError.write(Data("fedchat: answer, reject, hold, resume or hangup?\n".utf8))
            }
        }
        readsKeyboard = !typed.isTooLong
    }

    /// The first signal hangs up, the second ends the command.
    private func readSignal(_ descriptor: Int32) throws -> Int32? {
        var number: UInt8 = 0
        guard read(descriptor, &number, 1) == 1 else { return nil }
        let status =
            switch Int32(number) {
            case SIGINT: Failure.Status.interrupted
            case SIGALRM: Failure.Status.timeout
            default: 128 + Int32(number)
            }
        guard interruption == nil else { return status }
        interruption = status
        deadline = Date().addingTimeInterval(Double(ClientLimits.callFarewell.components.seconds))
        try daemon.tell("command", ["do": "hangup"])
        return nil
    }

    private func catchSignals() throws -> Int32 {
        let (readEnd, writeEnd) = try PipeEnds.make()
        signalPipe = writeEnd
        // In the background there is no keyboard: reading fails, and the call goes on.
        signal(SIGTTIN, SIG_IGN)
        for number in [SIGINT, SIGTERM, SIGHUP, SIGALRM] {
            signal(number) { number in
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(signalPipe, &byte, 1)
            }
        }
        return readEnd
    }

    // MARK: Words

    private func show(_ event: JSONValue) {
        let text = Self.text(of: event)
        if options.json || !text.isEmpty { options.show(event, text) }
    }

    private static func text(of report: JSONValue) -> String {
        let user = report["user_id"]?.string ?? ""
        let room = report["room_id"]?.string ?? ""
        let isOn = report["on"]?.bool ?? false
        let doubt =
            switch report["sender_standing"]?.string {
            case "unknown_device": " from a device that their server does not show"
            case "not_cross_signed": " from a device that they have not signed"
            default: ""
            }
        let device = report["changed"]?.bool == true ? " WITH KEYS THAT HAVE CHANGED" : doubt
        let text: String =
            switch report["event"]?.string {
            case "calling": "calling \(report["invitee"]?.string ?? room)"
            case "ringing": "\(user) calls\(device), in \(room)"
            case "answering": "answering \(user)\(device)"
            case "answered": "\(user) answers\(device)"
            case "connected": "connected"
            case "reconnecting": "the connection is lost; waiting for it"
            case "held": isOn ? "you are on hold" : "you are not on hold any more"
            case "holding": isOn ? "the other side is on hold" : "the other side is not on hold any more"
            case "muted":
                "the other side: sound \(report["audio"]?.bool == true ? "off" : "on"), picture "
                    + (report["video"]?.bool == true ? "off" : "on")
            case "notice": "notice: \(report["notice"]?.string ?? "") \(user): \(report["detail"]?.string ?? "")"
            case "ended":
                "ended: \(report["reason"]?.string ?? "") (\(report["by"]?.string ?? ""))"
                    + (report["connected_ms"]?.integer.map { ", after \($0 / 1_000) s" } ?? "")
            default: ""
            }
        return Output.name(text)
    }
}
