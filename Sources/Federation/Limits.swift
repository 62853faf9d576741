// What this target owns is in ARCHITECTURE.md.
