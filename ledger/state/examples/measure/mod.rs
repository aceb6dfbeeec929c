//! What the measuring examples share.

/// The numbers of accounts on the command line; few, many and a million when there are none.
pub(crate) fn sizes() -> Vec<u64> {
    let given: Vec<u64> = std::env::args()
        .skip(1)
        .map(|text| text.parse().expect("a number of accounts"))
        .collect();
    if given.is_empty() {
        vec![1_000, 100_000, 1_000_000]
    } else {
        given
    }
}

/// How many MiB the process has in memory, where the system tells it (Linux); 0 elsewhere.
pub(crate) fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
