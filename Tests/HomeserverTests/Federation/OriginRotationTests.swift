import Testing

@testable import Homeserver

@Suite("Turns of the servers for whose events something is fetched") struct OriginRotationTests {
    @Test func `servers follow one another, however much each has sent`() {
        var rotation = OriginRotation()
        let turns = (0..<5).map { _ in rotation.next(among: ["c", "a", "b"], residents: ["a", "b", "c"]) }
        #expect(turns == ["a", "b", "c", "a", "b"])
        #expect(rotation.next(among: [], residents: []) == nil)
    }

    @Test func `between two that have nobody in the room one has its turn that has`() {
        var rotation = OriginRotation()
        let strangers = (0..<9).map { "s\($0)" }
        let turns = (0..<6).map { _ in rotation.next(among: strangers + ["z"], residents: ["z"]) }
        #expect(turns == ["z", "s0", "z", "s1", "z", "s2"])
        #expect(rotation.next(among: strangers, residents: ["z"]) == "s3")
        #expect(rotation.next(among: strangers, residents: ["z"]) == "s4")
    }
}
