use std::{fs, time::Duration};

use serde::Serialize;

/// What a measurement ran on.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// The processor, as it names itself.
    pub cpu: String,
    /// How many of its threads this process may use.
    pub cores: usize,
    /// The memory in GiB.
    pub memory_gib: u64,
    /// The kernel's name and version.
    pub kernel: String,
    /// The mean number of runnable processes over the last minute, before the measurement began.
    pub load: f64,
}

impl Host {
    /// Looks at this host. What it does not tell is left empty.
    #[must_use]
    pub fn look() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        Self {
            cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory
                .split_whitespace()
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or(0)
                >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: read("/proc/loadavg")
                .split_whitespace()
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }
}

/// The processor time that all threads of this process have used, user and system; in steps of 10 ms.
#[must_use]
pub fn cpu_time() -> Duration {
    ticks("/proc/self/stat").unwrap_or_default()
}

/// The processor time in a file of the form of proc(5)'s stat, of a process or a thread.
pub(crate) fn ticks(path: &str) -> Option<Duration> {
    // Fields 14 and 15 are utime and stime in clock ticks, of which Linux has 100 a second for every architecture. The
    // second field, in parentheses, may itself hold spaces.
    let stat = fs::read_to_string(path).ok()?;
    let after_name = stat.rsplit(')').next()?;
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(Duration::from_millis(ticks * 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work() {
        let before = cpu_time();
        let mut x = 1_u64;
        while cpu_time() < before + Duration::from_millis(20) {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(cpu_time() > before);
    }

    #[test]
    fn the_host_says_what_it_is() {
        let host = Host::look();
        assert!(host.cores >= 1);
        assert!(!host.kernel.is_empty());
    }
}
