// Plays the ratchet library for other implementations: one JSON request a line on standard input, one reply a line on
// standard output, in order. The operations are those of `Peer.operations`; binary values are unpadded base64.
import Glibc

var peer = Peer()
while let line = readLine() {
    guard !line.allSatisfy(\.isWhitespace) else { continue }
    print(peer.answer(line))
    fflush(nil)
}
