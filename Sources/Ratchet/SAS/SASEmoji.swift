/// One of the 64 emoji that users compare.
/// Spec: <https://spec.matrix.org/v1.19/client-server-api/#sas-method-emoji>
public struct SASEmoji: Sendable, Equatable {
    /// The emoji itself.
    public let symbol: String
    /// Its English name.
    public let name: String

    private init(_ symbol: String, _ name: String) {
        self.symbol = symbol
        self.name = name
    }

    /// In the spec's order.
    public static let all: [SASEmoji] = [
        SASEmoji("🐶", "Dog"),
        SASEmoji("🐱", "Cat"),
        SASEmoji("🦁", "Lion"),
        SASEmoji("🐎", "Horse"),
        SASEmoji("🦄", "Unicorn"),
        SASEmoji("🐷", "Pig"),
        SASEmoji("🐘", "Elephant"),
        SASEmoji("🐰", "Rabbit"),
        SASEmoji("🐼", "Panda"),
        SASEmoji("🐓", "Rooster"),
        SASEmoji("🐧", "Penguin"),
        SASEmoji("🐢", "Turtle"),
        SASEmoji("🐟", "Fish"),
        SASEmoji("🐙", "Octopus"),
        SASEmoji("🦋", "Butterfly"),
        SASEmoji("🌷", "Flower"),
        SASEmoji("🌳", "Tree"),
        SASEmoji("🌵", "Cactus"),
        SASEmoji("🍄", "Mushroom"),
        SASEmoji("🌏", "Globe"),
        SASEmoji("🌙", "Moon"),
        SASEmoji("☁️", "Cloud"),
        SASEmoji("🔥", "Fire"),
        SASEmoji("🍌", "Banana"),
        SASEmoji("🍎", "Apple"),
        SASEmoji("🍓", "Strawberry"),
        SASEmoji("🌽", "Corn"),
        SASEmoji("🍕", "Pizza"),
        SASEmoji("🎂", "Cake"),
        SASEmoji("❤️", "Heart"),
        SASEmoji("😀", "Smiley"),
        SASEmoji("🤖", "Robot"),
        SASEmoji("🎩", "Hat"),
        SASEmoji("👓", "Glasses"),
        SASEmoji("🔧", "Spanner"),
        SASEmoji("🎅", "Santa"),
        SASEmoji("👍", "Thumbs Up"),
        SASEmoji("☂️", "Umbrella"),
        SASEmoji("⌛", "Hourglass"),
        SASEmoji("⏰", "Clock"),
        SASEmoji("🎁", "Gift"),
        SASEmoji("💡", "Light Bulb"),
        SASEmoji("📕", "Book"),
        SASEmoji("✏️", "Pencil"),
        SASEmoji("📎", "Paperclip"),
        SASEmoji("✂️", "Scissors"),
        SASEmoji("🔒", "Lock"),
        SASEmoji("🔑", "Key"),
        SASEmoji("🔨", "Hammer"),
        SASEmoji("☎️", "Telephone"),
        SASEmoji("🏁", "Flag"),
        SASEmoji("🚂", "Train"),
        SASEmoji("🚲", "Bicycle"),
        SASEmoji("✈️", "Aeroplane"),
        SASEmoji("🚀", "Rocket"),
        SASEmoji("🏆", "Trophy"),
        SASEmoji("⚽", "Ball"),
        SASEmoji("🎸", "Guitar"),
        SASEmoji("🎺", "Trumpet"),
        SASEmoji("🔔", "Bell"),
        SASEmoji("⚓", "Anchor"),
        SASEmoji("🎧", "Headphones"),
        SASEmoji("📁", "Folder"),
        SASEmoji("📌", "Pin"),
    ]
}
