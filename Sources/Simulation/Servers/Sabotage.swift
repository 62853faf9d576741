internal import HomeserverStorage
internal import MatrixModel
internal import SQLDatabase

/// Breaks something of the first server's on purpose, so that tests see that a run finds it.
struct Sabotage: Sendable {
    let world: World
    let cast: Cast

    func begin() async {
        switch world.plan.sabotage {
        case .lostOutbox:
            await change(
                """
                CREATE TRIGGER lost AFTER INSERT ON outbox BEGIN
                    DELETE FROM outbox WHERE destination = NEW.destination AND position = NEW.position; END
                """)
        case .lostRedaction:
            await change(
                """
                CREATE TRIGGER unredacted BEFORE UPDATE OF redacted_by ON events WHEN NEW.redacted_by IS NOT NULL
                BEGIN SELECT RAISE(IGNORE); END
                """)
        default: return
        }
    }

    func end() async {
        guard let victim = cast.servers.first?.name else { return }
        switch world.plan.sabotage {
        case nil, .lostOutbox, .lostRedaction, .unsyncedWrites, .keptServer: return
        case .untoldEvent, .repeatedEvent, .untoldState, .untoldJoining, .untoldLeaving: return
        case .untrueSync, .untruePage: return
        case .changedContent: await changeContent(at: victim)
        case .changedState:
            await change(
                """
                UPDATE rooms SET head_version = head_version + 1, state = (
                    SELECT e.state_after FROM events e WHERE e.room_nid = rooms.room_nid AND e.state_after IS NOT NULL
                    ORDER BY e.depth, e.event_nid LIMIT 1)
                """)
        case .shownRejected:
            await change("UPDATE events SET flags = 0, position = -1000000 - event_nid WHERE flags & 2 <> 0")
        case .lostEvent:
            guard let event = world.records.acknowledged.last(where: { $0.server == victim })?.event else { return }
            await change("DELETE FROM events WHERE event_id = \(event.text)")
        case .keptRows:
            await change("CREATE TRIGGER kept BEFORE DELETE ON reply_log BEGIN SELECT RAISE(IGNORE); END")
            // More than may wait, for a destination of which the server knows nothing, and so never looks after.
            await change(
                """
                INSERT INTO outbox (destination, position, event_nid)
                SELECT 'nowhere.test', e.event_nid, e.event_nid FROM events e
                """)
        }
    }

    /// Changes what the last event says that a server acknowledged.
    private func changeContent(at victim: ServerName) async {
        let sent = world.records.acknowledged.last { $0.server == victim && !$0.isRedaction }
        guard let id = sent?.event, let database = cast.servers.first?.database else { return }
        do {
            try await database.write { connection in
                guard let event = try EventLog(connection, .plain).event(id) else { return }
                var changed = JSONValue(event.pdu.document.root)
                changed["content"] = ["body": "something else"]
                let body = try StorageSealer.plain.seal(changed.serialized(), context: "event:" + id.text)
                try connection.execute("UPDATE events SET body = \(body) WHERE event_id = \(id.text)")
            }
        } catch { world.records.find("cannot meddle: \(error)") }
    }

    private func change(_ statement: SQL) async {
        guard let server = cast.servers.first else { return }
        while !server.isUp { await world.sleep(.seconds(1)) }
        do { try await server.database?.write { _ = try $0.execute(statement) } } catch {
            world.records.find("cannot meddle: \(error)")
        }
    }
}
