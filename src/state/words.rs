//! The words of random names.

/// First words.
pub(super) const FIRST: &[&str] = &[
    "amber", "ancient", "autumn", "blue", "bold", "brave", "bright", "brisk", "broad", "calm", "clear", "clever",
    "cool", "copper", "cosmic", "crisp", "curious", "daily", "dappled", "deep", "distant", "dry", "eager", "early",
    "east", "even", "fair", "fast", "fine", "firm", "fresh", "gentle", "glad", "golden", "grand", "green", "happy",
    "hidden", "high", "honest", "humble", "icy", "jolly", "keen", "kind", "late", "light", "little", "lively", "long",
    "lucky", "mellow", "mild", "misty", "modest", "neat", "nimble", "noble", "north", "old", "open", "pale", "patient",
    "plain", "polar", "proud", "quick", "quiet", "rapid", "ready", "round", "rustic", "sharp", "short", "silent",
    "silver", "simple", "sleek", "slow", "small", "smart", "smooth", "snowy", "soft", "solid", "south", "steady",
    "still", "stone", "sunny", "swift", "tall", "tidy", "tiny", "vivid", "warm", "west", "wide", "wild", "wise",
    "young",
];

/// Second words.
pub(super) const SECOND: &[&str] = &[
    "acorn", "anchor", "apple", "arch", "ash", "badger", "barley", "basin", "bay", "beacon", "bear", "beech", "birch",
    "bluff", "boat", "bridge", "brook", "canyon", "castle", "cedar", "cliff", "cloud", "clover", "coast", "comet",
    "coral", "crane", "creek", "dale", "dawn", "delta", "dove", "dune", "eagle", "elm", "falcon", "fern", "field",
    "finch", "fjord", "forest", "fox", "garden", "glade", "grove", "harbor", "hare", "harvest", "hawk", "hazel",
    "heath", "heron", "hill", "island", "ivy", "lagoon", "lake", "lantern", "lark", "leaf", "lily", "linden", "lynx",
    "maple", "marsh", "meadow", "mill", "moon", "moss", "oak", "ocean", "orchard", "otter", "owl", "peak", "pebble",
    "pine", "plum", "pond", "poplar", "quartz", "rain", "raven", "reef", "ridge", "river", "robin", "rowan", "sail",
    "sand", "seal", "shore", "sparrow", "spruce", "star", "stream", "summit", "swan", "thicket", "tide", "trail",
    "valley", "wave", "willow", "wolf", "wren",
];
