import ArgumentParser
import ClientEncryption
import MatrixModel
import PostQuantum

struct PostQuantumSetting: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "post-quantum",
        abstract: "Show or set whether channels to other devices begin with ML-KEM-768 as well.",
        discussion: """
            Against somebody who records messages today and has a quantum computer one day. Both devices must have it on; no \
            other client knows it. off: as every other client does (the default). offered: with devices that offer it; where \
            their server withholds their keys, without, and a warning says so. kept: as offered, but nothing is sent without it \
            to a device that has once offered it ("devices USER --accept DEVICE" forgets that). "devices" shows how each \
            device is written to, "doctor" what should be looked into.

            Switching it on or off changes this device's published keys. If your identity has signed the device, this device \
            must be able to sign itself anew: else verify it, or recover, first. Some servers (Synapse) keep the signature on \
            the keys before: there switch it on after a new login, before that is verified.
            """)
    @OptionGroup var options: CommonOptions

    @Argument(help: "\(HybridAlgorithm.Policy.allCases.map(\.rawValue).joined(separator: ", ")); shown if left out.")
    var policy: String?

    func run() throws {
        let answer = try DaemonClient.connect(try options.begin()).ask(
            "post-quantum", .fields(["policy": policy.map { .string($0) }]))
        let isSeen = answer["published"]?.bool == (answer["policy"]?.string != "off")
        let isFixed = answer["fixed"]?.bool == true
        let note =
            isFixed
            ? " (the server keeps the signature on this device's keys as they are: others do not see the change)"
            : " (others do not see it yet)"
        options.show(answer, (answer["policy"]?.string ?? "") + (isSeen ? "" : note))
    }
}
