//! Ethereum's account trie, updated incrementally.
