public import SQLDatabase

/// EDUs that waited too long: a server that did not answer for so long asks for device lists anew, and to-device messages to
/// it have lost their use.
public struct EDUAge {
    private let connection: any SQLConnection

    public init(_ connection: any SQLConnection) { self.connection = connection }

    /// Drops the EDUs made before a time, milliseconds since 1970. Returns how many.
    @discardableResult
    public func drop(before time: Int64) throws -> Int {
        try connection.execute("DELETE FROM outbox_edus WHERE created < \(time)")
    }
}
