//! Has the members vote for one ordering protocol after the other while devices speak.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hedgerow_e2e::{Device, Fleet, Http, Network, Options, judge};
use serde_json::Value;

const HELP: &str = "\
Starts a network with PBFT, lets devices speak all the time, and has three of its validators vote for another ordering
protocol, again and again: to every one that there is, and back. A validator is killed in between, and comes back when
the order has gone on without it. Says how long nothing became final at each change, which must be below a second while
all run; then checks that every record that was acknowledged is on the ledger exactly once, with its proof.

  --order A,B,...  the protocols, one after the other
                   [aliph,chain,pbft,quorum,r-aliph,azyzzyva,backup,zlight,pbft]
  --down N         before which change a validator is killed, which comes back two changes later; 0: none is [4]
  --devices N      [6]
  --rate R         records a second of each device [50]
  --dir DIR        where the network is made; kept when something is wrong [a new folder]
  --hedgerow FILE  the program
";

/// How long a change may take while all run.
const MOST: Duration = Duration::from_secs(1);
/// How long to look at what follows a vote.
const AFTER: Duration = Duration::from_secs(2);
/// How often to look.
const OFTEN: Duration = Duration::from_millis(4);

/// When the gateway saw a new final block.
struct Heights {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<Instant>>,
}

impl Heights {
    fn watch(http: &Http) -> Self {
        let http = Http::new(http.url(), Duration::from_secs(2));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let (mut last, mut when) = (0, vec![Instant::now()]);
            while !stopped.load(Ordering::Relaxed) {
                let status = http.json("/status").unwrap_or_default();
                let height = status["network"]["attested_height"]
                    .as_u64()
                    .unwrap_or(last);
                if height > last {
                    last = height;
                    when.push(Instant::now());
                }
                thread::sleep(OFTEN);
            }
            when.push(Instant::now());
            when
        });
        Self { stop, thread }
    }

    /// The longest time without a new one.
    fn longest_gap(self) -> Result<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        let when = self.thread.join();
        let when = when.map_err(|_| anyhow::anyhow!("the thread that watches panicked"))?;
        let gaps = when.windows(2).map(|two| two[1] - two[0]);
        gaps.max().context("nothing was seen")
    }
}

fn main() -> Result<()> {
    let options = Options::from_arguments(HELP)?;
    let order = "aliph,chain,pbft,quorum,r-aliph,azyzzyva,backup,zlight,pbft".to_owned();
    let order: String = options.get("--order", order)?;
    let down: usize = options.get("--down", 4)?;
    let devices: usize = options.get("--devices", 6)?;
    let rate: f64 = options.get("--rate", 50.0)?;
    let default = std::env::temp_dir().join(format!("hedgerow-change-{}", std::process::id()));
    let dir = options.get("--dir", default)?;

    let mut network = Network::make(&options.hedgerow()?, &dir, 4, "pbft")?;
    network.start_all()?;
    let devices = (0..devices).map(|number| Device::register(&network, number, 1));
    let fleet = Fleet::start(&network, devices.collect::<Result<Vec<_>>>()?, rate)?;
    thread::sleep(Duration::from_secs(2));

    println!(
        "{:>3}  {:10} {:>7}  {:>16}  validators",
        "", "protocol", "block", "longest gap ms"
    );
    let (mut longest, mut late) = (Duration::ZERO, Vec::new());
    for (number, protocol) in (1..).zip(order.split(',')) {
        if number == down {
            network.members[3].kill()?;
        }
        let all = network.members.iter().all(hedgerow_e2e::Member::runs);
        let heights = Heights::watch(&network.gateway().http);
        thread::sleep(Duration::from_millis(200));
        let block = vote(&network, protocol)?;
        wait_until(&network, protocol)?;
        thread::sleep(AFTER);
        let gap = heights.longest_gap()?;
        println!(
            "{number:3}  {protocol:10} {block:7}  {:16.0}  {}",
            gap.as_secs_f64() * 1e3,
            if all { "4 of 4" } else { "3 of 4" }
        );
        if all {
            longest = longest.max(gap);
            if gap >= MOST {
                late.push(protocol.to_owned());
            }
        }
        if number == down + 2 && down > 0 {
            let begin = Instant::now();
            network.start(3)?;
            wait_until(&network, protocol)?;
            println!(
                "     {} is back after three votes: it orders with the others {:.1} s after its start",
                network.members[3].name,
                begin.elapsed().as_secs_f64()
            );
        }
        network.check_running()?;
    }
    let records = fleet.acknowledged();
    let sent = fleet.finish()?;
    let verdict = judge(&mut network, &sent)?;
    println!(
        "\nlongest time without a new final block at a change, while all ran: {:.0} ms\n\
         {records} records acknowledged, {} readings; {} on the ledger, each once; {} proofs hold; all agree on block {}",
        longest.as_secs_f64() * 1e3,
        verdict.acknowledged,
        verdict.readings,
        verdict.proved,
        verdict.height,
    );
    ensure!(
        late.is_empty(),
        "it took a second or more to change to {}",
        late.join(", ")
    );
    drop(network);
    fs::remove_dir_all(dir)?;
    Ok(())
}

/// Three validators vote; gives the block in which the last vote decides.
fn vote(network: &Network, protocol: &str) -> Result<u64> {
    let config = |member: usize| network.members[member].config.display().to_string();
    let propose = ["protocol", "propose", protocol, "--json", "--member"];
    let said = network.command(&[&propose[..], &[&config(0)]].concat())?;
    let said: Value = serde_json::from_str(&said).context("protocol propose --json")?;
    let id = said["proposal"]
        .as_str()
        .context("protocol propose --json: proposal")?;
    let approve = ["protocol", "approve", id, "--json", "--member"];
    let mut said = Value::Null;
    for member in [1, 2] {
        let text = network.command(&[&approve[..], &[&config(member)]].concat())?;
        said = serde_json::from_str(&text).context("protocol approve --json")?;
    }
    let block = said["block"].as_u64();
    block.with_context(|| format!("the third vote does not decide: {said}"))
}

/// Every member that runs says that `protocol` orders.
fn wait_until(network: &Network, protocol: &str) -> Result<()> {
    let begin = Instant::now();
    loop {
        let running = network.members.iter().filter(|member| member.runs());
        let waiting: Vec<_> = running
            .filter(|member| {
                let status = member.status().unwrap_or_default();
                status["network"]["consensus"] != protocol || status["healthy"] != true
            })
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        if begin.elapsed() > Duration::from_secs(60) {
            let status: Vec<_> = waiting.iter().map(|member| member.status()).collect();
            bail!("{protocol} does not order everywhere: {status:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}
