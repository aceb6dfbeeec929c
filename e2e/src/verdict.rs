use std::{
    collections::{BTreeMap, BTreeSet},
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use hedgerow_chain::Genesis;
use hedgerow_verifier::Verifier;
use serde_json::Value;

use crate::{Http, Network, Sent, device::STREAM};

/// How long the network may take to settle when nobody speaks any more.
const SETTLE: Duration = Duration::from_secs(60);

/// What was found afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// Readings that were acknowledged.
    pub acknowledged: usize,
    /// Readings on the ledger.
    pub readings: usize,
    /// Readings whose proofs were verified.
    pub proved: usize,
    /// The height that all validators agree on.
    pub height: u64,
}

/// Checks that every acknowledged reading is on the ledger exactly once and provable, and that all validators agree.
///
/// # Errors
/// Says what is not so.
pub fn judge(network: &mut Network, sent: &[(String, Vec<Sent>)]) -> Result<Verdict> {
    let height = settle(network)?;
    agree(network, height)?;
    let genesis = fs::read_to_string(network.dir.join("genesis.json"))?;
    let trust = Genesis::from_json(&genesis)?.trust_root()?;
    let verifier = Verifier::from_trust_root(trust).map_err(|error| anyhow::anyhow!("{error}"))?;
    let http = Http::new(network.gateway().http.url(), Duration::from_secs(20));
    let mut verdict = Verdict {
        height,
        ..Verdict::default()
    };
    for (device, sent) in sent {
        let readings = exactly_once(&http, device, sent)?;
        for (index, one) in sent.iter().enumerate() {
            prove(&http, &verifier, device, one)
                .with_context(|| format!("the proof of {device}/{STREAM} {}", one.sequence))?;
            if index % 500 == 0 {
                by_the_program(network, device, one)?;
            }
        }
        verdict.acknowledged += sent.len();
        verdict.proved += sent.len();
        verdict.readings += readings;
    }
    Ok(verdict)
}

/// Waits until the gateway has handed everything on and all validators are at the same block.
fn settle(network: &mut Network) -> Result<u64> {
    let begin = Instant::now();
    let mut last = Vec::new();
    loop {
        network.check_running()?;
        let backlog = network.gateway().status().ok();
        let backlog = backlog.and_then(|status| status["gateway"]["spool"]["backlog"].as_u64());
        let heights: Vec<_> = network.members[..network.validators]
            .iter()
            .map(crate::Member::height)
            .collect();
        let same = heights
            .iter()
            .all(|height| height.is_some() && *height == heights[0]);
        if backlog == Some(0) && same && last == heights {
            return heights[0].context("there is a validator");
        }
        last.clone_from(&heights);
        if begin.elapsed() > SETTLE {
            bail!(
                "after {SETTLE:?} without traffic: backlog of the gateway {backlog:?}, heights {heights:?}"
            );
        }
        thread::sleep(Duration::from_millis(500));
    }
}

/// Every validator says the same of the last block, which stands for all before it.
fn agree(network: &Network, height: u64) -> Result<()> {
    let blocks = network.members[..network.validators].iter().map(|member| {
        let block = member.http.json(&format!("/blocks/{height}"))?;
        Ok((
            member.name.clone(),
            block["hash"].to_string(),
            block["state_root"].to_string(),
        ))
    });
    let blocks = blocks.collect::<Result<Vec<_>>>()?;
    let same = blocks
        .windows(2)
        .all(|pair| (&pair[0].1, &pair[0].2) == (&pair[1].1, &pair[1].2));
    ensure!(
        same,
        "the validators disagree on block {height}: {blocks:?}"
    );
    Ok(())
}

/// The stream has every acknowledged reading, each once, each with its content, and no gap in its positions.
fn exactly_once(http: &Http, device: &str, sent: &[Sent]) -> Result<usize> {
    let path = format!("/streams/{device}/{STREAM}");
    let length = http.json(&path)?["length"]
        .as_u64()
        .context("a stream without length")?;
    let mut found: BTreeMap<u64, Value> = BTreeMap::new();
    let mut positions = BTreeSet::new();
    let mut from = 0;
    loop {
        let page = http.json(&format!("{path}/readings?from={from}&limit=1000"))?;
        let readings = page["readings"]
            .as_array()
            .context("a page without readings")?;
        if readings.is_empty() {
            break;
        }
        for reading in readings {
            let number = |key: &str| {
                reading[key]
                    .as_u64()
                    .with_context(|| format!("{key}: {reading}"))
            };
            let (sequence, position) = (number("sequence")?, number("position")?);
            ensure!(
                found.insert(sequence, reading["payload"].clone()).is_none(),
                "{device}: reading {sequence} is there twice"
            );
            ensure!(
                positions.insert(position),
                "{device}: position {position} is taken twice"
            );
            from = sequence + 1;
        }
    }
    let whole =
        positions.len() as u64 == length && positions.last().is_none_or(|last| last + 1 == length);
    ensure!(
        whole,
        "{device}: length {length}, but {} readings",
        positions.len()
    );
    for one in sent {
        let payload = found.get(&one.sequence);
        let payload = payload.with_context(|| {
            format!(
                "{device}: reading {} was acknowledged and is lost",
                one.sequence
            )
        })?;
        let expected: Value = serde_json::from_str(&one.payload)?;
        ensure!(
            *payload == expected,
            "{device}: reading {} says {payload}",
            one.sequence
        );
    }
    Ok(found.len())
}

/// The proof that the gateway gives holds, and proves this reading.
fn prove(http: &Http, verifier: &Verifier, device: &str, sent: &Sent) -> Result<()> {
    let path = format!(
        "/streams/{device}/{STREAM}/readings/{}/proof",
        sent.sequence
    );
    let begin = Instant::now();
    let proof = loop {
        match http.get(&path)? {
            (200, proof) => break proof,
            // The last block's signatures are on their way.
            (503, _) if begin.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_millis(100));
            }
            (status, body) => bail!("HTTP {status}: {}", String::from_utf8_lossy(&body)),
        }
    };
    let proved = verifier
        .verify(&proof)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let same = proved.stream.to_string() == format!("{device}/{STREAM}")
        && proved.reading.sequence == sent.sequence
        && *proved.reading.payload == *sent.payload.as_bytes();
    ensure!(
        same,
        "it proves something else: {} {}",
        proved.stream,
        proved.reading.sequence
    );
    Ok(())
}

/// The same by the command line.
fn by_the_program(network: &Network, device: &str, sent: &Sent) -> Result<()> {
    let (stream, sequence) = (format!("{device}/{STREAM}"), sent.sequence.to_string());
    network.command(&["prove", &stream, &sequence, "-o", "reading.proof"])?;
    network
        .command(&["verify", "reading.proof", "--genesis", "genesis.json"])
        .map(drop)
}
