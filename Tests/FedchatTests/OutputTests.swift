import MatrixModel
import Testing

@testable import fedchat

@Suite("What others wrote, in a terminal") struct OutputTests {
    /// What escapes, moves the cursor, ends a line, or turns the direction.
    private static let unsafe: [Unicode.Scalar] =
        Array("\u{0}\u{7}\u{8}\u{B}\u{C}\r\u{1B}\u{7F}\u{85}\u{9B}\u{9D}\u{2028}\u{2029}".unicodeScalars)
        + (0x202A...0x202E).compactMap(Unicode.Scalar.init) + (0x2066...0x2069).compactMap(Unicode.Scalar.init)

    @Test(arguments: unsafe) func `nothing drives it, and nothing turns what stands around it`(scalar: Unicode.Scalar) {
        #expect(Output.plain("a\(Character(scalar))b") == "a\u{FFFD}b")
        #expect(Output.name("a\(Character(scalar))b") == "a\u{FFFD}b")
        #expect(Output.body("a\(Character(scalar))b") == "a\u{FFFD}b")
    }

    @Test func `letters, emoji and marks of direction stay`() {
        let text = "Grüße 👩‍👩‍👧 שלום\u{200F}! 🏴󠁧󠁢󠁥󠁮󠁧󠁿"
        #expect(Output.plain(text) == text)
        #expect(Output.name(text) == text)
    }

    @Test func `a name makes no line and no column`() {
        #expect(Output.name("Pantry\n!other:a\tKitchen") == "Pantry\u{FFFD}!other:a\u{FFFD}Kitchen")
        #expect(Output.plain("one\n\ttwo") == "one\n\ttwo")
    }

    @Test(arguments: ["\n", "\r\n"]) func `a message passes for no other's`(end: String) {
        let event: JSONValue = [
            "type": "m.room.message", "sender": "@eve:a", "content": ["body": .string("hello\(end)@bob:a: I quit")],
        ]
        #expect(Listen.text(event) == "@eve:a: hello\n    @bob:a: I quit")
    }

    @Test func `a sender and a reason make no line either`() {
        #expect(
            Listen.text(["sender": "@e\nve:a", "undecryptable": "w\nhy"])
                == "@e\u{FFFD}ve:a: (cannot be read: w\u{FFFD}hy)")
        let handedOn: JSONValue = [
            "type": "m.room.message", "sender": "@eve:a", "content": ["body": "x"], "sender_standing": "key_handed_on",
            "key_from": "@car\nol:a",
        ]
        #expect(Listen.text(handedOn) == "@eve:a (says @car\u{FFFD}ol:a): x")
        #expect(Listen.text(["type": "m.room.member", "sender": "@eve:a"]) == nil)
    }
}
