// Plays the ratchet library for other implementations: one JSON request a line on standard input, one reply a line on
// standard output, in order. The operations are those of `Peer.operations`; binary values are unpadded base64.
//
// With the argument `bench [ROUNDS]` it measures itself instead and prints a JSON object, microseconds by operation.
import Glibc

if CommandLine.arguments.dropFirst().first == "bench" {
    let rounds = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 5
    print(try Benchmark.run(rounds: rounds))
    exit(0)
}

var peer = Peer()
while let line = readLine() {
    guard !line.allSatisfy(\.isWhitespace) else { continue }
    print(peer.answer(line))
    fflush(nil)
}
