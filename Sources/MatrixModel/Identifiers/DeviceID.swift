/// A device of a user. Clients may choose it, so it is any text of 1 to 512 bytes without NUL.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#relationship-between-access-tokens-and-devices>
public struct DeviceID: MatrixIdentifier {
    public let text: String

    public init(_ text: String) throws(InvalidIdentifier) {
        guard (1...512).contains(text.utf8.count), !text.utf8.contains(0) else {
            throw InvalidIdentifier(text: text, rule: "a device ID")
        }
        self.text = text
    }
}
