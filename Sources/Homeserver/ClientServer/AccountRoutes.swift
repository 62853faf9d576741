internal import MatrixAPI

/// All handlers of accounts, sessions, devices, profiles and account data, and what they share.
public struct AccountRoutes: RouteGroup {
    private let groups: [any RouteGroup]
    /// Confirms grave requests by password, for other handlers too.
    public let confirmation: UserInteractiveAuthentication
    /// Ends accounts.
    let ending: AccountEnding
    /// Reads profiles of any user.
    public let profiles: ProfileReader

    /// - Parameters:
    ///   - authenticator: the one that the API handler uses, so that what ends here is forgotten there.
    ///   - passwords: `PasswordThreads`, but in simulations.
    public init(
        environment: Environment, authenticator: TokenAuthenticator, passwords: any PasswordHashing,
        limiter: RateLimiter, collaborators: AccountCollaborators
    ) {
        let checking = PasswordChecking(environment: environment, passwords: passwords)
        let confirmation = UserInteractiveAuthentication(environment: environment, passwords: passwords)
        let sessions = DeviceSessions(
            environment: environment, authenticator: authenticator, deviceLists: collaborators.deviceLists)
        let creation = AccountCreation(environment: environment)
        let ending = AccountEnding(
            environment: environment, sessions: sessions, departure: collaborators.departure)
        let profiles = ProfileReader(environment: environment, remote: collaborators.remoteProfiles)
        self.confirmation = confirmation
        self.ending = ending
        self.profiles = profiles
        groups = [
            VersionTelling(environment: environment),
            LoggingIn(
                environment: environment, checking: checking, sessions: sessions, confirmation: confirmation,
                limiter: limiter),
            SessionKeeping(environment: environment, sessions: sessions),
            Registering(
                environment: environment, checking: checking, sessions: sessions, creation: creation,
                authentication: confirmation, limiter: limiter,
                applicationServices: collaborators.applicationServices),
            RegisteringBySecret(
                environment: environment, checking: checking, sessions: sessions, creation: creation,
                limiter: limiter),
            AccountChanging(
                environment: environment, checking: checking, ending: ending, sessions: sessions,
                confirmation: confirmation),
            AccountRescuing(environment: environment, checking: checking, ending: ending, sessions: sessions),
            DeviceEditing(environment: environment, sessions: sessions, confirmation: confirmation),
            ProfileEditing(reader: profiles, propagation: collaborators.profiles),
            AccountDataEditing(environment: environment),
            FilterDefining(environment: environment),
            PushRuleEditing(environment: environment),
            DirectorySearching(environment: environment),
            OpenIDGiving(environment: environment),
            AccountModeration(environment: environment, authenticator: authenticator),
        ]
    }

    public func register(on router: inout Router) {
        for group in groups { group.register(on: &router) }
    }
}
