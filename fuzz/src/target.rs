use crate::targets;

/// What is fuzzed.
#[derive(Clone, Copy)]
pub struct Target {
    /// As the file in `fuzz_targets/` and the folder in `corpus/` are called.
    pub name: &'static str,
    /// Takes hostile bytes; panics when something is wrong with us.
    pub run: fn(&[u8]),
    /// Inputs that get far.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[
            $(Target { name: stringify!($name), run: targets::$name::run, seeds: targets::$name::seeds }),*
        ];
    };
}

targets! {
    abstract_frames
    abstract_log
    abstract_replica
    broker
    config
    contracts
    csv
    epochs
    execute
    genesis
    http
    journal
    log
    merkle
    mqtt
    ordering
    proof
    query
    records
    replica
    sealed
    wire
}

/// The target of that name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn named(name: &str) -> Target {
    *TARGETS
        .iter()
        .find(|target| target.name == name)
        .unwrap_or_else(|| panic!("no target {name}"))
}
