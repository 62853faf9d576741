// swift-tools-version: 6.2
import PackageDescription

// The map of targets, row by row, is in ARCHITECTURE.md; Tests/TidyTests checks that imports only go down.

let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let collections: Target.Dependency = .product(name: "Collections", package: "swift-collections")

func library(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

let cLibraries: [Target] = [
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
    .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
    .systemLibrary(name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
    .systemLibrary(name: "CResolver"),
    .systemLibrary(name: "CCrypt"),
    .systemLibrary(name: "CConfinement"),
]

let sources: [Target] = [
    // Row 0 and 1: bytes in, answers out.
    library("Cryptography", ["CSodium", "COpenSSL", "CCrypt"]),
    library("MatrixModel", ["Cryptography", collections]),
    library("HTTPMessages", [httpTypes]),
    library("Confinement", ["CConfinement"]),
    library("SQLDatabase", []),
    library("Ratchet", ["Cryptography"]),
    // Row 2.
    library("PostQuantum", ["Ratchet", "Cryptography", crypto]),
    library("MatrixRooms", ["MatrixModel", "Cryptography", collections]),
    library("MatrixAPI", ["MatrixModel", "HTTPMessages", httpTypes]),
    library(
        "HTTPServer",
        [
            "HTTPMessages", httpTypes, logging,
            .product(name: "HummingbirdCore", package: "hummingbird"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        ]),
    library("HTTPClientCurl", ["HTTPMessages", httpTypes, "CCurl"]),
    library(
        "SQLiteEngine",
        [
            "SQLDatabase", .product(name: "GRDB", package: "GRDB.swift"),
            .product(name: "GRDBSQLite", package: "GRDB.swift"),
        ]),
    library("PostgresEngine", ["SQLDatabase", "CPostgres"]),
    // Row 3.
    library("Federation", ["MatrixAPI", "CResolver", logging, httpTypes]),
    library("HomeserverStorage", ["MatrixRooms", "SQLDatabase", logging]),
    library("ClientEncryption", ["PostQuantum", "Ratchet", "MatrixAPI", "SQLDatabase"]),
    library("FedchatTesting", ["MatrixRooms", "MatrixModel", "Cryptography"]),
    // Row 4.
    library(
        "Homeserver",
        [
            "Federation", "HomeserverStorage", "MatrixRooms", "MatrixAPI", "HTTPMessages", "Confinement", httpTypes,
            logging, collections,
            .product(name: "Metrics", package: "swift-metrics"),
        ]),
    library("FedchatKit", ["ClientEncryption", "MatrixRooms", "MatrixAPI", "HTTPMessages", httpTypes, logging]),
    // Row 5.
    library(
        "Simulation",
        [
            "Homeserver", "HomeserverStorage", "Federation", "MatrixRooms", "MatrixModel", "HTTPMessages",
            "SQLDatabase",
            "SQLiteEngine", "FedchatTesting", "Cryptography", httpTypes, logging,
        ]),
]

let programs: [Target] = [
    program(
        "fedchatd",
        [
            "Homeserver", "HomeserverStorage", "Federation", "MatrixModel", "MatrixAPI", "Cryptography", "SQLDatabase",
            "HTTPMessages", "HTTPServer", "HTTPClientCurl", "SQLiteEngine", "PostgresEngine", arguments, logging,
            .product(name: "Yams", package: "Yams"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ]),
    program("fedchat", ["FedchatKit", "SQLiteEngine", "HTTPClientCurl", "CQREncode", arguments, logging]),
    program(
        "fedchat-bench",
        [
            "HTTPClientCurl", "HTTPMessages", "MatrixModel", "Cryptography", "MatrixRooms", "HomeserverStorage",
            "SQLDatabase", "SQLiteEngine", "PostgresEngine", "FedchatTesting", httpTypes, arguments,
        ]),
    program("fedchat-simulate", ["Simulation", arguments]),
    program("fedchat-ratchet-peer", ["PostQuantum", "Ratchet", "MatrixModel", "Cryptography"]),
]

let testTargets: [Target] = [
    tests("CryptographyTests", ["Cryptography"]),
    tests("RatchetTests", ["Ratchet", "Cryptography", "MatrixModel"]),
    tests("PostQuantumTests", ["PostQuantum", "Ratchet", "Cryptography", "MatrixModel"]),
    tests("MatrixModelTests", ["MatrixModel", "Cryptography"]),
    tests("MatrixRoomsTests", ["MatrixRooms", "MatrixModel", "FedchatTesting", "Cryptography"]),
    tests("MatrixAPITests", ["MatrixAPI", "MatrixModel", "HTTPMessages", httpTypes]),
    tests("SQLDatabaseTests", ["FedchatTesting", "SQLDatabase", "SQLiteEngine", "PostgresEngine"]),
    tests("HTTPTests", ["FedchatTesting", "HTTPMessages", "HTTPServer", "HTTPClientCurl", httpTypes, logging]),
    tests("FederationTests", ["Federation", "MatrixAPI", "MatrixModel", "HTTPMessages", httpTypes]),
    tests(
        "HomeserverTests",
        [
            "Homeserver", "HomeserverStorage", "MatrixRooms", "MatrixAPI", "MatrixModel", "Federation",
            "HTTPMessages", "SQLDatabase", "SQLiteEngine", "PostgresEngine", "FedchatTesting", "Cryptography",
            "Confinement", httpTypes, logging,
        ]),
    tests(
        "ClientEncryptionTests",
        [
            "ClientEncryption", "FedchatKit", "Homeserver", "HomeserverStorage", "Federation", "PostQuantum", "Ratchet",
            "MatrixAPI", "MatrixModel", "HTTPMessages", "SQLDatabase", "SQLiteEngine", "Cryptography", "FedchatTesting",
            httpTypes, logging,
        ]),
    tests(
        "FedchatKitTests",
        [
            "FedchatKit", "ClientEncryption", "PostQuantum", "Ratchet", "MatrixAPI", "MatrixModel", "HTTPMessages",
            "SQLDatabase", "SQLiteEngine", "Cryptography", "FedchatTesting", httpTypes,
        ]),
    tests(
        "SimulationTests",
        [
            "Simulation", "HomeserverStorage", "MatrixModel", "MatrixRooms", "SQLiteEngine", "SQLDatabase",
            "FedchatTesting", "Cryptography", "fedchat-simulate",
        ]),
    tests("FedchatTests", ["fedchat", "ClientEncryption", "MatrixModel"]),
    tests("FedchatdTests", ["fedchatd", "Homeserver", "Cryptography", "MatrixModel"]),
    tests("TidyTests", []),
]

// While working on one module: `FEDCHAT_TESTS=RatchetTests swift build --product fedchatPackageTests`, then
// `FEDCHAT_TESTS=RatchetTests swift test --skip-build`, builds and runs only what those tests need.
let wanted = Context.environment["FEDCHAT_TESTS"].map { Set($0.split(separator: ",").map(String.init)) }

let package = Package(
    name: "fedchat",
    products: [
        .library(name: "Ratchet", targets: ["Ratchet"]),
        .library(name: "PostQuantum", targets: ["PostQuantum"]),
        .library(name: "FedchatKit", targets: ["FedchatKit"]),
        .executable(name: "fedchatd", targets: ["fedchatd"]),
        .executable(name: "fedchat", targets: ["fedchat"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: cLibraries + sources + programs
        + testTargets.filter { wanted?.contains($0.name) ?? true },
    swiftLanguageModes: [.v6]
)
