internal import CCurl

/// Sets options of a handle and remembers whether all were accepted.
struct EasyOptions {
    private let easy: UnsafeMutableRawPointer
    private(set) var areAccepted = true

    init(_ easy: UnsafeMutableRawPointer) {
        self.easy = easy
    }

    mutating func refuse() {
        areAccepted = false
    }

    mutating func set(_ option: CURLoption, _ value: Int) {
        check(fedchat_curl_set_long(easy, option, value))
    }

    mutating func setOffset(_ option: CURLoption, _ value: Int) {
        check(fedchat_curl_set_offset(easy, option, curl_off_t(value)))
    }

    mutating func set(_ option: CURLoption, _ value: String?) {
        check(fedchat_curl_set_text(easy, option, value))
    }

    mutating func setPointer(_ option: CURLoption, _ value: UnsafeMutableRawPointer) {
        check(fedchat_curl_set_pointer(easy, option, value))
    }

    mutating func setList(_ option: CURLoption, _ list: UnsafeMutablePointer<curl_slist>) {
        check(fedchat_curl_set_list(easy, option, list))
    }

    mutating func copyBody(_ bytes: [UInt8]) {
        check(bytes.withUnsafeBytes { fedchat_curl_copy_body(easy, $0.baseAddress, $0.count) })
    }

    mutating func setReceiver(_ option: CURLoption, _ callback: @escaping curl_write_callback) {
        check(fedchat_curl_set_receiver(easy, option, callback))
    }

    mutating func setReader(_ callback: @escaping curl_read_callback) {
        check(fedchat_curl_set_reader(easy, callback))
    }

    mutating func setOpenSocket(_ callback: @escaping curl_opensocket_callback) {
        check(fedchat_curl_set_open_socket(easy, callback))
    }

    mutating func setPrerequest(_ callback: @escaping curl_prereq_callback) {
        check(fedchat_curl_set_prerequest(easy, callback))
    }

    private mutating func check(_ code: CURLcode) {
        if code != CURLE_OK { areAccepted = false }
    }
}

extension Duration {
    /// At least 1, for 0 means without end to libcurl.
    var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        guard seconds < Int64(Int32.max) / 1000 else { return Int(Int32.max) }
        return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}
