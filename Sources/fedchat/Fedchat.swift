import ArgumentParser

/// The program.
struct Fedchat: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fedchat",
        abstract: "A Matrix client whose rooms are encrypted end to end.",
        discussion: """
            Data goes to standard output, all else to standard error. With --json each line is one object with "v": 1.

            Directories are $XDG_CONFIG_HOME/fedchat, $XDG_DATA_HOME/fedchat, $XDG_STATE_HOME/fedchat and \
            $XDG_RUNTIME_DIR; --config-dir puts all into one. Keys and messages to be sent are sealed on the disk under \
            a key of their own: in the file store.key of the configuration directory (mode 0600), or, if \
            FEDCHAT_PASSPHRASE_FILE names a file with a passphrase, one derived from that. A process in the background, \
            started on demand, owns the keys; it ends when nobody has used it for some minutes.

            The authorities of --ca-file, or at a login of FEDCHAT_CA_FILE, are kept with the session, by the file's path.

            Environment: FEDCHAT_PROFILE, FEDCHAT_CONFIG_DIR, FEDCHAT_CA_FILE, FEDCHAT_PASSPHRASE_FILE, \
            FEDCHAT_IDLE_SECONDS, FEDCHAT_MEDIA.

            Exit status: 0 ok, 1 usage, 2 unexpected, 3 server or network, 4 untrusted or changed key, 5 rate limited, \
            6 not logged in, 7 not found or forbidden, 8 partly sent, 9 could not decrypt, 124 timeout, 130 interrupted.
            """,
        version: "fedchat 0.1.0",
        subcommands: [
            Register.self, Login.self, Logout.self, WhoAmI.self, Rooms.self, Create.self, Join.self, Invite.self,
            Leave.self, Send.self, Download.self, Listen.self, Why.self, Sharing.self, PostQuantumSetting.self,
            Call.self, Answer.self,
            Members.self, Devices.self, CrossSigning.self, Verify.self, Recovery.self, Backup.self, Keys.self,
            Dehydrate.self, Doctor.self, Daemon.self,
        ])
}
