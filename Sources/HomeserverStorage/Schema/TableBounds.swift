/// What ends the rows of each table. A table without a line here fails a test: `spec/storage.md` says more.
public enum TableBounds {
    /// The end of a table's rows, by the table's name.
    public static let all: [String: String] = rooms.merging(accounts) { first, _ in first }
        .merging(devices) { first, _ in first }.merging(federation) { first, _ in first }
        .merging(others) { first, _ in first }

    private static let rooms = [
        "rooms": "taken out by fedchatd rooms delete, or when all users here have forgotten them",
        "room_members": "with the room; a row a member",
        "forgotten_rooms": "with the room",
        "invites_received": "limits.invites_per_user; the oldest go",
        "invites_withdrawn": "thirty days",
        "events": "messages by the retention policy, and those withheld after thirty days; all with the room",
        "auth_edges": "with the event", "auth_positions": "with the event", "auth_links": "with the event",
        "event_relations": "with the event",
        "relation_indexing": "one row, until older events are indexed",
        "backward_extremities": "with the room; an event that follows closes one",
        "pending_redactions": "1,000 a room",
        "state_nodes": "with the room, by the collection of leftovers",
        "state_keys": "when no state has them, by the collection of leftovers",
        "room_aliases": "limits.aliases_per_room; with the room",
        "receipts": "with the room; thirty days after a member left",
        "typing": "when they stop", "typing_rooms": "a row a room; with it",
        "partial_rooms": "a row a room, with limits.state_events_left_out of each of 8 joins; with it",
        "partial_room_servers": "when the room is whole",
        "room_histories": "a row a room; with it", "abandoned_rooms": "a row a room; with it",
        "search_text": "with the event", "search_queue": "when the event is looked at", "search_indexing": "one row",
        "reports": "10,000, and 200 of one user's; the operator's",
        "unread_counts": "a row a user and room; with either",
        "thread_subscriptions": "the last 10,000 of a user; with the room",
        "sliding_connections": "limits.sliding_connections_per_device; two weeks without use; with the device",
        "sliding_rooms": "with the connection", "sliding_changes": "with the connection",
        "pushers": "limits.pushers_per_user; with the session", "push_mail_pauses": "twelve hours after a pause",
        "push_leases": "a row a shard and node",
        "delayed_events": "limits.delayed_events_per_user; when sent, or an hour later; with the room",
        "sticky_events": "an hour; with the event",
        "purge_jobs": "seven days after the end", "blocked_rooms": "the operator's, until unblocked",
    ]

    private static let accounts = [
        "accounts": "never: a name is not given twice; registration is the bound",
        "devices": "limits.devices_per_user; the one unused for longest goes",
        "access_tokens": "with the device; expired ones after seven days",
        "uia_sessions": "timeouts.uia_session_ms, 50,000 at most",
        "login_tokens": "timeouts.login_token_ms, 10 a user", "openid_tokens": "timeouts.openid_token_ms, 100 a user",
        "registration_tokens": "the operator's, until revoked", "registration_nonces": "a minute, 1,000 at most",
        "token_buckets": "when the bucket is full again", "profiles": "64 KiB a user; with the account",
        "account_data": "20,000 types a user; of a room with it", "filters": "limits.filters_per_user; the oldest go",
        "policy_consents": "a row a user, document and version; with an erased account",
        "user_directory_words": "33 words a user; with the account",
        "user_directory_building": "a row, until accounts of before are taken in",
        "reply_log": "timeouts.replies_kept_ms", "presence": "timeouts.presence_kept_ms",
        "key_backups": "limits.key_backups_per_user; the oldest goes", "key_backup_versions": "a row a user",
        "key_backup_keys": "limits.keys_per_backup",
    ]

    private static let devices = [
        "device_keys": "with the device",
        "one_time_keys": "limits.one_time_keys_per_device, 200 given out; with the device",
        "fallback_keys": "a row an algorithm; with the device", "cross_signing_keys": "three a user",
        "key_signatures": "limits.signatures_per_upload; with the device that is signed",
        "device_list_changes": "a row a user; of others thirty days after the last shared room",
        "remote_device_lists": "when no room is shared any more", "remote_devices": "1,000 a user; with the list",
        "to_device_messages": "limits.to_device_messages_per_device; acknowledged by a sync; with the device",
        "to_device_received": "timeouts.message_ids_kept_ms",
        "dehydrated_devices": "one a user, 64 KiB",
        "media": "announced ones after timeouts.pending_upload_ms; others' when not used",
        "media_unused": "an hour", "url_previews": "timeouts.preview_kept_ms, limits.previews_cached",
    ]

    private static let federation = [
        "server_keys": "ninety days after the last question, where no member was of the server",
        "server_key_answers": "ninety days after the last question, where no member was of the server",
        "outbox": "limits.outbox_per_destination; when sent; with the room",
        "outbox_edus": "timeouts.edus_kept_ms; when sent",
        "destination_rooms": "a row a server and room; with the room",
        "destinations": "thirty days after the last try, where nothing is shared and nobody answers",
        "inbound_staging": "limits.staged_per_origin, .staged_per_room and .staged_per_origin_in_room; five tries",
        "received_transactions": "timeouts.federation_answers_kept_ms",
        "room_leases": "when given back; of a node that died, a day",
        "joining_rooms": "a day after the join",
    ]

    private static let others = [
        "streams": "a row a stream", "number_blocks": "a row a kind of number", "schema_version": "one row",
        "resealing": "a row a sealed column", "position_times": "hourly for thirty days, then daily for ten years",
    ]
}
