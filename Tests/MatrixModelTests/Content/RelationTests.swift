import MatrixModel
import Testing

@Suite("Relations of events") struct RelationTests {
    private func relation(_ relatesTo: JSONValue) throws -> Relation? {
        Relation(try JSONValue.object(["m.relates_to": relatesTo]).document.root)
    }

    @Test func `a relation has a type and a target`() throws {
        let reply = try #require(try relation(["rel_type": "m.thread", "event_id": "$root"]))
        #expect(reply.type == Relation.thread && reply.target.text == "$root")
        #expect(try relation(["event_id": "$root"]) == nil)
        #expect(try relation(["rel_type": "m.thread"]) == nil)
        #expect(try relation(["rel_type": "m.thread", "event_id": "root"]) == nil)
        #expect(try relation(["rel_type": 7, "event_id": "$root"]) == nil)
        #expect(Relation(try JSONValue.object([:]).document.root) == nil)
    }

    @Test func `its type has between one byte and 255`() throws {
        for (count, isRelation) in [(0, false), (1, true), (255, true), (256, false)] {
            let type = String(repeating: "x", count: count)
            #expect((try relation(["rel_type": .string(type), "event_id": "$root"]) != nil) == isRelation, "\(count)")
        }
    }

    @Test func `only an annotation has a key`() throws {
        let content: JSONValue = ["event_id": "$root", "key": "+1"]
        for (type, key) in [(Relation.annotation, "+1" as String?), (Relation.replace, nil), ("m.annotated", nil)] {
            var typed = content
            typed["rel_type"] = .string(type)
            #expect(try #require(try relation(typed)).key == key, "\(type)")
        }
    }
}
