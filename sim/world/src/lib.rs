//! A deterministic network, its disks and its clocks, in one thread.
