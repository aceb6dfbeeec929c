//! What a network costs that has nothing to do.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use hedgerow_e2e::{Device, Fleet, Network, Options};

const HELP: &str = "\
Starts a network, lets some devices speak for a moment, then measures each process while nobody speaks. A validator
must need less than 64 MiB of memory and 0.5 % of a core, and write nothing.

  --seconds N      how long to measure [60]
  --settle N       how long to wait before [15]
  --validators N   [4]
  --consensus NAME the ordering protocol [pbft]
  --dir DIR        where the network is made [a new folder]
  --hedgerow FILE  the program
";

/// What /proc says of a process.
struct Usage {
    resident_kib: u64,
    cpu_ticks: u64,
    written_bytes: u64,
}

/// Clock ticks a second: what Linux gives to programs on every architecture (USER_HZ).
const TICKS: f64 = 100.0;

impl Usage {
    fn of(process: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).context(path)
        };
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            value.with_context(|| format!("no {name} in /proc"))
        };
        let stat = read("stat")?;
        // The name of the program, in parentheses, may have spaces.
        let (_, after) = stat.rsplit_once(')').context("/proc/PID/stat")?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok());
        let user = ticks(11).context("utime in /proc/PID/stat")?;
        let system = ticks(12).context("stime in /proc/PID/stat")?;
        Ok(Self {
            resident_kib: field(&read("status")?, "VmRSS:")?,
            cpu_ticks: user + system,
            written_bytes: field(&read("io")?, "write_bytes:")?,
        })
    }
}

fn main() -> Result<()> {
    let options = Options::from_arguments(HELP)?;
    let seconds: u64 = options.get("--seconds", 60)?;
    let settle: u64 = options.get("--settle", 15)?;
    let validators: usize = options.get("--validators", 4)?;
    let consensus: String = options.get("--consensus", "pbft".to_owned())?;
    let default = std::env::temp_dir().join(format!("hedgerow-idle-{}", std::process::id()));
    let dir = options.get("--dir", default)?;

    let mut network = Network::make(&options.hedgerow()?, &dir, validators, &consensus)?;
    network.start_all()?;
    let devices = (0..3).map(|number| Device::register(&network, number, 1));
    let fleet = Fleet::start(&network, devices.collect::<Result<Vec<_>>>()?, 20.0)?;
    thread::sleep(Duration::from_secs(5));
    let sent: usize = fleet.finish()?.iter().map(|(_, sent)| sent.len()).sum();
    println!("{sent} readings; then nothing, {settle} s to settle, {seconds} s to measure");
    thread::sleep(Duration::from_secs(settle));

    let usages = |network: &Network| {
        let processes = network.members.iter().filter_map(|member| member.process());
        processes.map(Usage::of).collect::<Result<Vec<_>>>()
    };
    let before = usages(&network)?;
    thread::sleep(Duration::from_secs(seconds));
    network.check_running()?;
    let after = usages(&network)?;

    println!(
        "{:14} {:>12} {:>12} {:>14}",
        "member", "resident MiB", "% of a core", "bytes written"
    );
    let mut failures = Vec::new();
    for ((member, before), after) in network.members.iter().zip(&before).zip(&after) {
        let resident = after.resident_kib as f64 / 1024.0;
        let cpu = (after.cpu_ticks - before.cpu_ticks) as f64 / TICKS / seconds as f64 * 100.0;
        let written = after.written_bytes - before.written_bytes;
        println!("{:14} {resident:12.1} {cpu:12.2} {written:14}", member.name);
        let validator = member.mqtt.is_none();
        if validator && (resident >= 64.0 || cpu >= 0.5 || written > 0) {
            failures.push(member.name.clone());
        }
    }
    ensure!(failures.is_empty(), "not idle: {}", failures.join(", "));
    drop(network);
    fs::remove_dir_all(dir)?;
    Ok(())
}
