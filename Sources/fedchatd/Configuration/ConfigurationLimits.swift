internal import Homeserver

/// `limits.*` and `timeouts.*`. What the Matrix specification fixes (50 PDUs to a transaction, 65,536 bytes to an event) and
/// the sizes of inner parts are not keys: see `spec/decisions/0018-which-limits-are-keys.md`.
extension ConfigurationCatalogue {
    /// Counts and bytes.
    static var limits: [ConfigurationKey] {
        [
            count(
                "limits.devices_per_user", \.limits.devicesPerUser,
                "Devices of one user; the one unused for longest goes."),
            count(
                "limits.one_time_keys_per_device", \.limits.oneTimeKeysPerDevice, "One-time keys kept of one device."),
            count(
                "limits.to_device_messages_per_device", \.limits.toDeviceMessagesPerDevice,
                "Messages that wait for one device; the oldest go."),
            count("limits.to_device_per_sync", \.limits.toDevicePerSync, "Messages to a device in one sync."),
            count("limits.filters_per_user", \.limits.filtersPerUser, "Filters of one user; the oldest go."),
            count(
                "limits.sliding_connections_per_device", \.limits.slidingConnectionsPerDevice,
                "Connections of sliding sync that one device has; the least recently used go."),
            count("limits.account_data_bytes", \.limits.accountDataBytes, "One piece of account data, bytes."),
            count(
                "limits.sync_timeline_default", \.limits.syncTimelineDefault,
                "Events of a room in a sync whose filter says nothing."),
            count("limits.sync_timeline_maximum", \.limits.syncTimelineMaximum, "Events of a room in a sync."),
            count("limits.messages_page_maximum", \.limits.messagesPageMaximum, "Events on one page of history."),
            count("limits.event_cache_bytes", \.limits.eventCacheBytes, "Events kept in memory, bytes."),
            count("limits.state_cache_bytes", \.limits.stateCacheBytes, "Room state kept in memory, bytes."),
            count(
                "limits.room_heads_cached", \.limits.roomHeadsCached, "Rooms whose newest events are kept in memory."),
            count(
                "limits.outbox_per_destination", \.limits.outboxPerDestination,
                "Events that wait for one server before it has to catch up."),
            count("limits.staged_per_origin", \.limits.stagedPerOrigin, "Events of one server that wait to be judged."),
            count(
                "limits.staged_per_room", \.limits.stagedPerRoom,
                "Events of one room that wait to be judged; those of the server with most of them go."),
            count(
                "limits.staged_per_origin_in_room", \.limits.stagedPerOriginInRoom,
                "Events of one server in one room that wait to be judged."),
            count("limits.waiting_syncs", \.limits.waitingSyncs, "Syncs that wait for news."),
            count("limits.aliases_per_room", \.limits.aliasesPerRoom, "Aliases of one room."),
            count(
                "limits.federation_concurrent_destinations", \.limits.federationConcurrentDestinations,
                "Servers that are sent to at once."),
            count("limits.keys_per_upload", \.limits.keysPerUpload, "Device keys in one upload."),
            count("limits.users_per_key_query", \.limits.usersPerKeyQuery, "Users in one question for keys."),
            count(
                "limits.devices_per_key_claim", \.limits.devicesPerKeyClaim, "Devices of one user in one claim of keys."
            ),
            count("limits.signatures_per_upload", \.limits.signaturesPerUpload, "Signatures in one upload."),
            count(
                "limits.key_backups_per_user", \.limits.keyBackupsPerUser, "Key backups of one user; the oldest goes."),
            integer64("limits.keys_per_backup", \.limits.keysPerBackup, 1...(1 << 40), "Keys in one backup."),
            count("limits.tags_per_room", \.limits.tagsPerRoom, "Tags of one room of one user."),
            count("limits.push_rules_bytes", \.limits.pushRulesBytes, "Push rules of one user, bytes."),
            count("limits.directory_results", \.limits.directoryResults, "Users that one search tells."),
            count("limits.initial_invites", \.limits.initialInvites, "Users invited when a room is made."),
            count("limits.initial_state_events", \.limits.initialStateEvents, "initial_state of a room that is made."),
            count(
                "limits.forward_extremities", \.limits.forwardExtremities,
                "Open ends of a room; what adds one more is taken, but nothing of ours follows it."),
            count(
                "limits.auth_events_fetched", \.limits.authEventsFetched, "Auth events of one event that are fetched."),
            count(
                "limits.state_events_fetched", \.limits.stateEventsFetched,
                "Events of the state of one room that are fetched, as when joining."),
            count(
                "limits.state_events_left_out", \.limits.stateEventsLeftOut,
                "Events of the state of a room that was joined that may be lacking at first, and are asked for again."),
            count(
                "limits.pending_uploads", \.limits.pendingUploads, "Uploads that one user has announced and not made."),
            count("limits.pushers_per_user", \.limits.pushersPerUser, "Pushers of one user."),
            count(
                "limits.push_concurrent_pushers", \.limits.pushConcurrentPushers, "Pushers that are served at once."),
            count(
                "limits.push_concurrent_per_gateway", \.limits.pushConcurrentPerGateway,
                "Notifications on their way to one push gateway."),
            count(
                "limits.invites_per_user", \.limits.invitesPerUser,
                "Invites to rooms elsewhere that one user has; the oldest go."),
            count("limits.remote_media_fetches", \.limits.remoteMediaFetches, "Other servers' files fetched at once."),
            count(
                "limits.delayed_events_per_user", \.limits.delayedEventsPerUser,
                "Events of one user that wait to be sent."),
            count("limits.preview_fetches", \.limits.previewFetches, "Pages fetched at once for previews of links."),
            count("limits.previews_cached", \.limits.previewsCached, "Previews of links that are kept."),
            count("limits.preview_page_bytes", \.limits.previewPageBytes, "Read of a page for its preview, bytes."),
            count("limits.preview_image_bytes", \.limits.previewImageBytes, "The picture of a preview, bytes."),
        ]
    }

    /// Milliseconds.
    static var timeouts: [ConfigurationKey] {
        [
            milliseconds("timeouts.sync_maximum_ms", \.timeouts.syncMaximum, "A sync waits no longer for news."),
            milliseconds(
                "timeouts.federation_request_ms", \.timeouts.federationRequest, "A question to another server."),
            milliseconds(
                "timeouts.federation_transaction_ms", \.timeouts.federationTransaction,
                "Sending a transaction to another server."),
            milliseconds("timeouts.federation_join_ms", \.timeouts.federationJoin, "Joining by another server."),
            milliseconds(
                "timeouts.join_held_ms", \.timeouts.joinHeld,
                "Transactions of others with what is said in a room wait for a join of it."),
            milliseconds("timeouts.key_fetch_ms", \.timeouts.keyFetch, "Fetching another server's signing keys."),
            milliseconds(
                "timeouts.key_query_default_ms", \.timeouts.keyQueryDefault,
                "Asking others for device keys, where the client says nothing."),
            milliseconds(
                "timeouts.key_query_maximum_ms", \.timeouts.keyQueryMaximum,
                "The longest that a client may have others asked for device keys."),
            milliseconds("timeouts.missing_events_ms", \.timeouts.missingEvents, "Fetching what one event refers to."),
            milliseconds("timeouts.backfill_ms", \.timeouts.backfill, "Fetching history from one server."),
            milliseconds(
                "timeouts.identity_server_ms", \.timeouts.identityServer,
                "One question to an identity server, when an address is invited."),
            milliseconds(
                "timeouts.policy_server_ms", \.timeouts.policyServer, "Asking a policy server for a signature."),
            milliseconds(
                "timeouts.space_hierarchy_ms", \.timeouts.spaceHierarchy,
                "Asking other servers for the rooms of a space."),
            milliseconds(
                "timeouts.media_wait_default_ms", \.timeouts.mediaWaitDefault,
                "Waiting for media that is announced, where the client says nothing."),
            milliseconds(
                "timeouts.media_wait_maximum_ms", \.timeouts.mediaWaitMaximum,
                "The longest that a client may wait for media."),
            milliseconds("timeouts.thumbnail_ms", \.timeouts.thumbnail, "Making one thumbnail."),
            milliseconds("timeouts.readiness_ms", \.timeouts.readiness, "What /ready gives the database to answer."),
            milliseconds(
                "timeouts.uia_session_ms", \.timeouts.uiaSession,
                "A session of user-interactive authentication lives so long."),
            milliseconds(
                "timeouts.access_token_lifetime_ms", \.timeouts.accessTokenLifetime,
                "Access tokens that come with a refresh token live so long."),
            milliseconds("timeouts.login_token_ms", \.timeouts.loginToken, "Tokens for m.login.token live so long."),
            milliseconds("timeouts.openid_token_ms", \.timeouts.openIDToken, "OpenID tokens live so long."),
            milliseconds(
                "timeouts.typing_maximum_ms", \.timeouts.typingMaximum, "Nobody types longer without saying so again."),
            milliseconds(
                "timeouts.pending_upload_ms", \.timeouts.pendingUpload, "An upload that is announced may come so late."),
            milliseconds(
                "timeouts.remote_media_ms", \.timeouts.remoteMedia, "Fetching another server's file may take so long."),
            milliseconds("timeouts.preview_ms", \.timeouts.preview, "Making the preview of a link may take so long."),
            milliseconds(
                "timeouts.preview_fresh_ms", \.timeouts.previewFresh, "A preview is given again for so long."),
            milliseconds(
                "timeouts.preview_kept_ms", \.timeouts.previewKept, "Previews and their pictures are kept so long."),
            milliseconds(
                "timeouts.server_key_validity_ms", \.timeouts.serverKeyValidity,
                "Others may keep our signing keys so long."),
            milliseconds(
                "timeouts.federation_backoff_maximum_ms", \.timeouts.federationBackoffMaximum,
                "The longest pause before a server that does not answer is tried again."),
            milliseconds(
                "timeouts.replies_kept_ms", \.timeouts.repliesKept,
                "Answers to clients' transaction ids are kept so long."),
            milliseconds(
                "timeouts.federation_answers_kept_ms", \.timeouts.federationAnswersKept,
                "Answers to other servers' transactions are kept so long."),
            milliseconds(
                "timeouts.message_ids_kept_ms", \.timeouts.messageIDsKept,
                "Ids of messages to devices are kept so long, to know repeats."),
            milliseconds(
                "timeouts.presence_kept_ms", \.timeouts.presenceKept,
                "Presence of other servers' users who are offline is kept so long."),
            milliseconds("timeouts.push_gateway_ms", \.timeouts.pushGateway, "One notification of a push gateway."),
            milliseconds(
                "timeouts.push_backoff_maximum_ms", \.timeouts.pushBackoffMaximum,
                "The longest pause before a push gateway that does not answer is tried again."),
            milliseconds(
                "timeouts.push_give_up_ms", \.timeouts.pushGiveUp,
                "Notifications that could not be sent for so long are dropped."),
            milliseconds("timeouts.mail_ms", \.timeouts.mail, "One mail."),
            milliseconds(
                "timeouts.mail_delay_ms", \.timeouts.mailDelay, "What is unread for so long is told by mail."),
            milliseconds(
                "timeouts.edus_kept_ms", \.timeouts.edusKept,
                "Messages to devices and the like wait so long for a server that does not answer."),
            milliseconds(
                "timeouts.delayed_event_maximum_ms", \.timeouts.delayedEventMaximum,
                "The longest time after which a client may have an event sent."),
            milliseconds(
                "timeouts.sliding_connections_kept_ms", \.timeouts.slidingConnectionsKept,
                "Connections of sliding sync that are not used are kept so long; then clients begin anew."),
            milliseconds(
                "timeouts.guests_kept_ms", \.timeouts.guestsKept, "Guests who are not seen so long are ended."),
            milliseconds(
                "timeouts.retention_interval_ms", \.timeouts.retentionInterval,
                "So long after each other, rooms are looked through for messages that are too old."),
            milliseconds(
                "timeouts.withheld_kept_ms", \.timeouts.withheldKept,
                "Messages that were rejected or soft-failed are kept so long."),
        ]
    }

    private static func milliseconds(_ path: String, _ field: Path<Int64>, _ comment: String) -> ConfigurationKey {
        integer64(path, field, 1...(1 << 40), comment)
    }
}
