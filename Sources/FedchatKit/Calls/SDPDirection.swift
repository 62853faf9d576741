internal import MatrixModel

extension SessionDescription {
    /// Whether whoever made it receives nothing: the other side is on hold. All of its media must be so that are in use.
    /// Spec: <https://spec.matrix.org/v1.19/client-server-api/#mcallnegotiate>, and RFC 8866, section 6.7.
    var isHolding: Bool {
        var session = "sendrecv"
        var media: [(direction: String?, isInUse: Bool)] = []
        // A carriage return and a line feed are one Character: lines are cut by bytes.
        for line in sdp.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            if line.starts(with: "m=".utf8) {
                let words = line.split(separator: UInt8(ascii: " "))
                // Port 0 is media that is not used, or rejected; data has no direction.
                let isInUse =
                    words.count > 1 && Substring(words[1]) != "0" && !line.starts(with: "m=application".utf8)
                media.append((nil, isInUse))
            } else if line.starts(with: "a=".utf8) {
                let name = String(Substring(line.dropFirst(2)))
                guard ["sendrecv", "sendonly", "recvonly", "inactive"].contains(name) else { continue }
                if media.isEmpty { session = name } else { media[media.count - 1].direction = name }
            }
        }
        let used = media.filter(\.isInUse)
        return !used.isEmpty && used.allSatisfy { ["sendonly", "inactive"].contains($0.direction ?? session) }
    }
}
