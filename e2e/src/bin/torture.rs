//! Kills processes of a network under load, then checks every record that was acknowledged.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use hedgerow_e2e::{Chaos, Device, Fleet, Network, Options, judge};

const HELP: &str = "\
Kills processes of a network (kill -9) under load; one, several, all; loses disks, brings back older copies of disks.
Then checks that every record that was acknowledged is on the ledger exactly once, that its proof holds offline, that
all validators agree, and that after each outage the first new block came within 10 s.

  --kills N        how many processes to kill [200]
  --seed S         what to kill when follows from it [random]
  --validators N   [4]
  --consensus NAME the ordering protocol [pbft]
  --devices N      devices that send all the time, half by MQTT, half by HTTP, with keys of all kinds [6]
  --rate R         records a second of each device [10]
  --dir DIR        where the network is made; kept when something is wrong [a new folder]
  --hedgerow FILE  the program
";

fn main() -> Result<()> {
    let options = Options::from_arguments(HELP)?;
    let seed: u64 = options.get("--seed", rand::random::<u32>().into())?;
    let kills: usize = options.get("--kills", 200)?;
    let validators: usize = options.get("--validators", 4)?;
    let consensus: String = options.get("--consensus", "pbft".to_owned())?;
    let devices: usize = options.get("--devices", 6)?;
    let rate: f64 = options.get("--rate", 10.0)?;
    let default = std::env::temp_dir().join(format!("hedgerow-torture-{seed}"));
    let dir = options.get("--dir", default)?;
    println!(
        "seed {seed}: {kills} kills of {validators} validators and a gateway in {}",
        dir.display()
    );

    let begin = Instant::now();
    let mut network = Network::make(&options.hedgerow()?, &dir, validators, &consensus)?;
    network.start_all()?;
    let devices = (0..devices).map(|number| Device::register(&network, number, seed));
    let devices = devices.collect::<Result<Vec<_>>>()?;
    let fleet = Fleet::start(&network, devices, rate)?;
    let report = Chaos::new(seed, validators).run(&mut network, kills)?;
    let records = fleet.acknowledged();
    let sent = fleet.finish()?;
    let mistreated = begin.elapsed();
    let verdict = judge(&mut network, &sent)?;

    let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
    println!(
        "\n{} kills, {} disks wiped, {} older disks brought back, {} outages, in {}",
        report.kills,
        report.wipes,
        report.restores,
        report.outages,
        seconds(mistreated)
    );
    for (when, recovery) in [
        ("a quorum was back", &report.after_outages),
        (
            "the last restart, where a quorum had stayed",
            &report.meanwhile,
        ),
    ] {
        println!(
            "first new block after {when}: median {}, longest {} of {}",
            seconds(recovery.median()),
            seconds(recovery.longest()),
            recovery.count()
        );
    }
    println!(
        "longest until an empty or old disk had caught up: {}",
        seconds(report.longest_rejoin)
    );
    println!(
        "{records} records acknowledged, {} readings; {} on the ledger, each once; {} proofs hold; all agree on block {}; checked in {}",
        verdict.acknowledged,
        verdict.readings,
        verdict.proved,
        verdict.height,
        seconds(begin.elapsed() - mistreated)
    );
    let late = report.after_outages.late() + report.meanwhile.late();
    ensure!(
        late == 0,
        "{late} times the first new block took more than 10 s (seed {seed})"
    );
    drop(network);
    fs::remove_dir_all(dir)?;
    Ok(())
}
