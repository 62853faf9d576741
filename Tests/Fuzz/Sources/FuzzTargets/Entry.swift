private import Glibc

/// The parser that this process fuzzes, named by the environment: see `parsers`.
private let chosen: @Sendable ([UInt8]) -> Void = {
    let name = getenv("FEDCHAT_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let parser = parsers[name] else {
        fatalError("FEDCHAT_FUZZ_TARGET is one of: \(parsers.keys.sorted().joined(separator: " "))")
    }
    return parser
}()

/// All targets, by name. Each is given any bytes and must neither trap nor break what it states with `hold`.
let parsers: [String: @Sendable ([UInt8]) -> Void] = [
    "json": fuzzJSON, "pdu": fuzzPDU, "call-event": fuzzCallEvent, "authorization": fuzzAuthorization,
    "identifiers": fuzzIdentifiers,
    "glob": fuzzGlob, "push-rules": fuzzPushRules, "x-matrix": fuzzRequestSignature, "path": fuzzPathAndQuery,
    "base64": fuzzBase64, "sync-token": fuzzSyncToken, "multipart": fuzzMultipart, "image-header": fuzzImageHeader,
    "page": fuzzPage, "disposition": fuzzContentDisposition, "olm-message": fuzzOlmMessage,
    "megolm-message": fuzzMegolmMessage,
    "foreign-pickle": fuzzForeignPickle, "dehydrated-device": fuzzDehydratedDevice, "hybrid-message": fuzzHybridMessage,
    "session-key": fuzzSessionKey, "pickle": fuzzPickle, "key-export": fuzzKeyExport, "recovery-key": fuzzRecoveryKey,
    "qr-payload": fuzzQRPayload, "key-bundle": fuzzKeyBundle, "backup-session": fuzzBackupSession,
    "shown-keys": fuzzShownKeys,
]

/// What libFuzzer calls with every input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    chosen(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// States a property; traps, and so is found, where it does not hold.
func hold(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("does not hold: \(what)") }
}

/// A text of the bytes; what is no UTF-8 is replaced.
func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }

private typealias Arguments = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<Arguments>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The package manager links an executable's `main` to this name; libFuzzer's own would stay unused.
@_cdecl("FuzzTargets_main")
public func fuzzTargetsMain(
    _ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> CInt {
    var (count, arguments) = (count, arguments)
    return runDriver(&count, &arguments, testOneInput)
}
