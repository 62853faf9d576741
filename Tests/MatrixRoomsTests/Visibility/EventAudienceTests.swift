import MatrixModel
import MatrixRooms
import Testing

@Suite("History visibility") struct EventAudienceTests {
    static let memberships: [Membership?] = [nil] + Membership.allCases.map(Optional.some)

    @Test(arguments: memberships)
    func `the rules hold for every membership`(_ membership: Membership?) {
        for joinedLater in [false, true] {
            func sees(_ visibility: HistoryVisibility) -> Bool {
                visibility.userCanSee(membership: membership, joinedLater: joinedLater)
            }
            #expect(sees(.worldReadable))
            #expect(sees(.shared) == (membership == .join || joinedLater))
            #expect(sees(.invited) == (membership == .join || membership == .invite))
            #expect(sees(.joined) == (membership == .join))
        }
    }

    @Test func `who may see the visibility before or after a change sees the change`() {
        let stranger = EventAudience.Viewer(nil, joinedLater: false)
        #expect(EventAudience(.worldReadable, after: .joined).userCanSee(stranger))
        #expect(EventAudience(.joined, after: .worldReadable).userCanSee(stranger))
        #expect(!EventAudience(.joined, after: .shared).userCanSee(stranger))
        #expect(EventAudience(.joined, after: .shared).userCanSee(.init(nil, joinedLater: true)))
    }

    @Test func `one sees one's own joining and leaving`() {
        let audience = EventAudience(.joined)
        #expect(audience.userCanSee(.init(nil, after: .join, joinedLater: false)))
        #expect(audience.userCanSee(.init(.join, after: .leave, joinedLater: false)))
        #expect(audience.userCanSee(.init(.join, after: .ban, joinedLater: false)))
        #expect(!audience.userCanSee(.init(.leave, after: .invite, joinedLater: false)))
        #expect(EventAudience(.invited).userCanSee(.init(nil, after: .invite, joinedLater: false)))
        #expect(EventAudience(.invited).userCanSee(.init(.invite, after: .leave, joinedLater: false)))
    }

    @Test func `a server sees what one of its users sees`() {
        let left = EventAudience.Viewer(.leave, joinedLater: false)
        let invited = EventAudience.Viewer(.invite, joinedLater: false)
        let joined = EventAudience.Viewer(.join, joinedLater: false)
        #expect(EventAudience(.worldReadable).serverCanSee([]))
        #expect(EventAudience(.worldReadable, after: .joined).serverCanSee([]))
        #expect(EventAudience(.joined, after: .worldReadable).serverCanSee([]))
        #expect(!EventAudience(.shared).serverCanSee([]))
        #expect(!EventAudience(.joined).serverCanSee([left, invited]))
        #expect(EventAudience(.joined).serverCanSee([left, joined]))
        #expect(EventAudience(.invited).serverCanSee([left, invited]))
        #expect(EventAudience(.shared).serverCanSee([.init(.leave, joinedLater: true)]))
    }
}
