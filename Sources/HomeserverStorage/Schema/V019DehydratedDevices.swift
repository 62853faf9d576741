internal import SQLDatabase

/// Schema 19: devices that wait, encrypted by a client, for another client of the user to take up their keys.
enum V019DehydratedDevices {
    static func statements(_ dialect: Dialect) -> [SQL] {
        [
            """
            CREATE TABLE dehydrated_devices (
                user_id TEXT PRIMARY KEY, device_id TEXT NOT NULL, data \(raw: dialect.bytesType) NOT NULL)
            """
        ]
    }
}
