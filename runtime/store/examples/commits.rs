//! How many commits a second a store takes, what it costs to keep it open, and what it writes when nothing happens.
//!
//! `cargo run --release -p hedgerow-store --example commits -- DIR [COMMITS] [CHANGES EACH]`

use std::{
    env, fs, thread,
    time::{Duration, Instant},
};

use hedgerow_kv::{KvStore, WriteBatch};
use hedgerow_store::{DiskStore, StoreOptions};

/// A number from a file of `/proc/self`; 0 where there is none.
fn proc(file: &str, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let dir = arguments.next().ok_or("name a folder")?;
    let commits: u64 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let each: u64 = arguments.next().map_or(Ok(500), |text| text.parse())?;
    let mut store = DiskStore::open(dir, StoreOptions::default())?;
    println!("open: {} MiB resident", proc("status", "VmRSS:") / 1024);
    let (start, mut key) = (Instant::now(), 1_u64);
    for _ in 0..commits {
        let mut batch = WriteBatch::default();
        for _ in 0..each {
            // A Weyl sequence: keys in no order, as hashes are.
            key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
            batch.put("state", key.to_be_bytes(), vec![key as u8; 100]);
        }
        store.commit(batch)?;
        store.sync()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{commits} synced commits of {each} changes of 100 B: {:.0} commits/s, {:.0} changes/s; {} MiB resident, {} MiB written",
        commits as f64 / seconds,
        (commits * each) as f64 / seconds,
        proc("status", "VmRSS:") / 1024,
        proc("io", "write_bytes:") >> 20,
    );
    // The compaction that this caused comes to its end.
    let mut before = 0;
    while before != proc("io", "write_bytes:") {
        before = proc("io", "write_bytes:");
        thread::sleep(Duration::from_secs(2));
    }
    thread::sleep(Duration::from_secs(5));
    println!(
        "idle for 5 s: {} bytes written, {} MiB resident",
        proc("io", "write_bytes:") - before,
        proc("status", "VmRSS:") / 1024
    );
    Ok(())
}
