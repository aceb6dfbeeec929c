use std::{
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use hedgerow_proofs::Proof;
use hedgerow_records::StreamName;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::prove;
use crate::{
    data::Data,
    devnet::{Children, Feeder, Fleet, Meter, Screen, Site, WINDOW, Watch},
    output::Output,
};

/// The readings of a weather station; data/README.md says whose.
const WEATHER: &[u8] = include_bytes!("../../../../data/weather-greensboro.csv");

/// Run a whole network here: validators, a gateway, and devices that replay real readings
#[derive(Args, Debug)]
#[command(after_help = "\
The network is made in DIR on first use; later runs go on from where it was. Every validator and the gateway is a
process of its own with its own data folder and log (DIR/NAME/node.log). The devices have keys of their own, and
publish signed records by MQTT. Stop it with Ctrl-C.

Examples:
  hedgerow devnet
  hedgerow devnet --data meters.csv --dir /tmp/meters     a `time` column, and one numeric column per sensor
  hedgerow devnet --duration 30 --rate 0                  as fast as it goes, half a minute

A node that you kill (its process number is shown) starts again after ten seconds.

Exit codes: 0 all went well; 1 a node died by itself, or no reading became final; 2 it could not start.")]
pub(crate) struct Devnet {
    /// The readings to replay: CSV with a `time` column and one numeric column per sensor [default: a weather station]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// How many validators there are, when the network is made [default: 4]
    #[arg(long, value_name = "N")]
    validators: Option<u32>,
    /// The ordering protocol, when the network is made: pbft, aliph, r-aliph, azyzzyva, zlight, quorum, chain or backup [default:
    /// pbft]
    #[arg(long, value_name = "PROTOCOL")]
    consensus: Option<String>,
    /// Stop after so many seconds [default: at Ctrl-C]
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Where the network is
    #[arg(long, value_name = "DIR", default_value = "devnet")]
    dir: PathBuf,
    /// How many readings all devices together publish per second; 0 for as many as become final
    #[arg(long, value_name = "R", default_value_t = 200.0)]
    rate: f64,
}

impl Devnet {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        let data = self.data(output)?;
        let site = Site::open_or_make(&self.dir, self.validators, self.consensus.as_deref())?;
        let dir = self.dir.display();
        let (count, f) = (site.validators.len(), (site.validators.len() - 1) / 3);
        output.say(if site.new {
            format!("A new network is in {dir}.")
        } else {
            format!("The network in {dir} goes on.")
        });
        output.say(format_args!(
            "Starting {count} validators ({f} may fail or lie) and a gateway ..."
        ));
        let children = Children::start(&site)?;
        let fleet = Fleet::open_or_make(&site, &data, WINDOW as u64)?;
        output.say(format_args!(
            "{} devices, {} of them registered just now.\n",
            fleet.devices.len(),
            fleet.new
        ));
        let first: StreamName =
            format!("{}/{}", fleet.devices[0].device.name, fleet.stream).parse()?;
        self.explain(output, &site, &children, &first);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(
            Show {
                output,
                site,
                children,
                data: Arc::new(data),
                first,
            }
            .go(fleet, self.rate, self.duration),
        )
    }

    fn data(&self, output: Output) -> Result<Data> {
        if !(0.0..=1e6).contains(&self.rate) {
            bail!("--rate {}: use 0 to 1000000 readings per second", self.rate);
        }
        let data = match &self.data {
            Some(file) => Data::open(file)?,
            None => Data::read(WEATHER)?,
        };
        let shown = 10;
        for bad in data.bad.iter().take(shown) {
            output.note(format_args!(
                "line {}: {}; this row is left out",
                bad.line, bad.problem
            ));
        }
        if data.bad.len() > shown {
            output.note(format_args!(
                "{} more rows are left out",
                data.bad.len() - shown
            ));
        }
        Ok(data)
    }

    fn explain(&self, output: Output, site: &Site, children: &Children, first: &StreamName) {
        let dir = self.dir.display();
        let url = format!("http://{}", site.gateway.http);
        let node = if self.dir == *"devnet" {
            String::new()
        } else {
            format!(" --node {url}")
        };
        let victim = &site.validators[site.validators.len() - 1].name;
        let others = if site.validators.len() > 3 {
            "the others go on"
        } else {
            "nothing is final until it is back"
        };
        let pid = children.pid(victim).unwrap_or_default();
        output.say(format_args!(
            "  HTTP         {url}  (/status, /streams, /openapi.json, /metrics)\n\
             \x20 MQTT         {mqtt}  (records to hedgerow/v1/records/DEVICE)\n\
             \x20 JSON-RPC     {rpc}  (wallets and tools of Ethereum's; chain {chain}; the accounts of \"test test ... junk\" have 10,000 ether each)\n\
             \x20 validators   {validators}\n\
             \n\
             Try in another terminal:\n\
             \x20 hedgerow status{node}\n\
             \x20 hedgerow get {first} 0{node}\n\
             \x20 hedgerow prove {first} 0 -o reading.proof{node}\n\
             \x20 hedgerow verify reading.proof --genesis {dir}/genesis.json\n\
             \x20 hedgerow export {first} --format csv{node}\n\
             \x20 kill -9 {pid}          kills {victim}: {others}\n\
             Without hedgerow on your PATH: `cargo run --release -- status` and so on.\n",
            mqtt = site.mqtt,
            rpc = site.rpc.as_deref().unwrap_or("off"),
            chain = site.genesis.network,
            validators = site
                .validators
                .iter()
                .map(|node| format!("http://{}", node.http))
                .collect::<Vec<_>>()
                .join("  "),
        ));
        output.object(&json!({
            "http": url,
            "mqtt": site.mqtt,
            "rpc": site.rpc,
            "chain": site.genesis.network,
            "genesis": site.dir.join("genesis.json"),
            "nodes": site.nodes().map(|node| json!({ "name": node.name, "http": format!("http://{}", node.http), "pid": children.pid(&node.name) })).collect::<Vec<_>>(),
            "stream": first.to_string(),
        }));
    }
}

/// Everything that runs.
struct Show {
    output: Output,
    site: Site,
    children: Children,
    data: Arc<Data>,
    first: StreamName,
}

impl Show {
    async fn go(mut self, fleet: Fleet, rate: f64, duration: Option<u64>) -> Result<ExitCode> {
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let total = fleet
            .devices
            .iter()
            .map(|device| self.data.len().saturating_sub(device.next))
            .sum();
        let meter = Arc::new(Meter::new());
        let watch = Watch::start(&self.site)?;
        let mut screen = Screen::new(self.output);
        let mut feeder = Feeder::start(&self.site, fleet, self.data.clone(), meter.clone(), rate);
        let end = duration.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let mut said = false;
        while end.is_none_or(|end| Instant::now() < end) {
            tokio::select! {
                _ = second.tick() => {}
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                error = feeder.failed() => return Err(error),
            }
            self.children
                .look()?
                .iter()
                .for_each(|news| screen.say(news));
            if feeder.is_done() && !said {
                said = true;
                screen.say("The whole file is final. The network goes on, idle: nothing is written any more.");
            }
            screen.show(&meter.look(), total, &watch.seen());
        }
        drop(feeder);
        screen.clear();
        self.finish(&meter, total)
    }

    /// Proves one reading, stops the nodes and says how it went.
    fn finish(mut self, meter: &Meter, total: u64) -> Result<ExitCode> {
        let whole = meter.whole();
        self.output.say("\nStopping ...");
        // Nothing was left to send when all of the file was final before.
        let done = whole.counts.finals > 0 || total == 0;
        let proved = if !done {
            Ok(None)
        } else {
            self.prove().map(Some)
        };
        let stubborn = self.children.stop();
        for name in &stubborn {
            self.output.note(format_args!(
                "{name} did not stop when asked, and was killed"
            ));
        }
        let counts = whole.counts;
        let proof = match &proved {
            Ok(Some(words)) => words.clone(),
            Ok(None) => "nothing to prove".into(),
            Err(error) => format!("NOT PROVED: {error:#}"),
        };
        let refusal = meter.refusal();
        self.output.say(format_args!(
            "{} readings final ({} of them sent again after a restart), {} rejected, {} retried\n\
             {:.0} final/s; publish to final: p50 {:.1} ms, p99 {:.1} ms\n\
             {proof}",
            counts.finals,
            counts.repeated,
            counts.rejected,
            counts.retried,
            whole.per_s,
            whole.p50_ms,
            whole.p99_ms
        ));
        if let Some(refusal) = &refusal {
            self.output.say(format_args!("First rejection: {refusal}"));
        }
        let good =
            counts.finals > 0 && proved.is_ok() && !self.children.failed() && stubborn.is_empty();
        self.output
            .object(&json!({ "summary": whole, "proof": proof, "refusal": refusal, "good": good }));
        if !done {
            self.output.note(format_args!(
                "No reading became final. The logs in {}/*/node.log say why",
                self.site.dir.display()
            ));
        }
        Ok(if good {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        })
    }

    /// Fetches the proof of the first device's first reading, and checks it as anybody would.
    fn prove(&self) -> Result<String> {
        let bytes = prove::fetch(&self.site.client()?, &self.first, 0).context("no proof")?;
        let proved = Proof::from_bytes(&bytes)?.verify(&self.site.genesis.trust_root()?)?;
        Ok(format!(
            "{} reading {} is proved offline: block {}, signed by {} validators ({} bytes)",
            proved.stream,
            proved.reading.sequence,
            proved.certified,
            proved.signers.len(),
            bytes.len()
        ))
    }
}
