public import SQLDatabase

/// The homeserver's tables. A migration is never changed once released; a change is a new number.
public enum Schema {
    /// All migrations, in order.
    public static let migrations: [Migration] = [
        Migration(1, "initial") { dialect in
            V001Rooms.statements(dialect) + V001Accounts.statements(dialect) + V001Federation.statements(dialect)
                + V001Devices.statements(dialect) + V001Sync.statements(dialect) + V001Storage.statements(dialect)
        },
        Migration(2, "key backup") { V002KeyBackup.statements($0) },
        Migration(3, "relations") { V003Relations.statements($0) },
        Migration(4, "auth chains") { V004AuthChains.statements($0) },
        Migration(5, "partial state") { V005PartialState.statements($0) },
        Migration(6, "sealed queues") { V006SealedQueues.statements($0) },
        Migration(7, "token buckets") { V007TokenBuckets.statements($0) },
        Migration(9, "unread counts") { V009UnreadCounts.statements($0) },
        Migration(10, "sliding sync") { V010SlidingSync.statements($0) },
        Migration(11, "search") { V011Search.statements($0) },
        Migration(12, "delayed events") { V012DelayedEvents.statements($0) },
        Migration(13, "push") { V013Push.statements($0) },
        Migration(14, "media") { V014Media.statements($0) },
        Migration(15, "consents and user directory") { V015Accounts.statements($0) },
        Migration(16, "retention") { V016Retention.statements($0) },
        Migration(17, "thread subscriptions") { V017ThreadSubscriptions.statements($0) },
        Migration(18, "reports") { V018Reports.statements($0) },
        Migration(19, "dehydrated devices") { V019DehydratedDevices.statements($0) },
        Migration(20, "claims of delayed events") { V020DelayedClaims.statements($0) },
        Migration(21, "left-out state") { V021LeftOutState.statements($0) },
        Migration(22, "states of heads") { V022HeadStates.statements($0) },
        Migration(23, "rooms being joined") { V023JoiningRooms.statements($0) },
        Migration(24, "what is sent again") { V024SentAgain.statements($0) },
        Migration(25, "joins that lack state") { V025LackingJoins.statements($0) },
    ]

    /// The oldest schema number whose programs can use the newest schema.
    public static let oldestCompatible = 25
}
