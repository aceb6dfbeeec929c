use std::{
    fmt,
    ops::Range,
    str::FromStr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use hedgerow_world::{
    CARD_BYTES_PER_S, Latencies, Load, MS, Meter, Mode, Options, Outcome, Plan, Subject,
    Transcript, Window,
};
use serde::Serialize;

use crate::{
    Failure, Request, UnknownProtocol,
    registry::{Visitor, with},
    run::run_one,
};

/// The sizes of requests and replies, in KiB: the papers' `4/0` is 4 KiB there and nothing back. Nothing is what it takes
/// to tell one from another: 12 bytes of a request, 8 of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload {
    /// KiB of an operation; at most 1024.
    pub request_kib: u16,
    /// KiB of a reply; at most 1024.
    pub reply_kib: u16,
}

impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not R/S, KiB of a request and of a reply up to 1024");
        let (request, reply) = text.split_once('/').ok_or_else(wrong)?;
        let size = |text: &str| {
            let kib = text.parse().ok();
            kib.filter(|kib| *kib <= 1024).ok_or_else(wrong)
        };
        Ok(Self {
            request_kib: size(request)?,
            reply_kib: size(reply)?,
        })
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.request_kib, self.reply_kib)
    }
}

/// Performance runs of several protocols under growing load, as the papers' curves have them.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The protocols' names.
    pub protocols: Vec<String>,
    /// The sizes of requests and replies.
    pub payloads: Vec<Payload>,
    /// The numbers of clients, each with one request under way unless `outstanding` says more.
    pub clients: Vec<u32>,
    /// How many requests each client has under way.
    pub outstanding: usize,
    /// The seeds: each gives other distances.
    pub seeds: Range<u64>,
    /// How many replicas.
    pub replicas: u32,
    /// How many answers are measured in a run at most.
    pub requests: u32,
    /// What is measured.
    pub window: Window,
    /// Whether what is logged waits for a disk.
    pub disk: bool,
    /// How many threads; the results do not depend on it.
    pub threads: usize,
}

/// One protocol under one load, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// The protocol.
    pub protocol: String,
    /// Request and reply in KiB, as `4/0`.
    pub payload: String,
    /// How many clients.
    pub clients: u32,
    /// How many seeds.
    pub seeds: usize,
    /// Answers measured, in all of them.
    pub answers: usize,
    /// Answered requests per second of virtual time.
    pub throughput_per_s: f64,
    /// The least of a seed.
    pub throughput_least_per_s: f64,
    /// The greatest.
    pub throughput_most_per_s: f64,
    /// The mean latency in milliseconds of virtual time.
    pub latency_mean_ms: f64,
    /// The median latency.
    pub latency_p50_ms: f64,
    /// The latency that 99 % do not exceed.
    pub latency_p99_ms: f64,
    /// How much of its time the busiest replica's processor worked, in percent.
    pub processor_percent: f64,
    /// How much of what a network card can, one direction of the busiest replica's did, in percent.
    pub network_percent: f64,
    /// MACs that the replica with the most made and checked, per answered request.
    pub macs_per_request: f64,
}

/// What came of a sweep.
#[derive(Clone, Debug, Serialize)]
pub struct Swept {
    /// Under what conditions, for people: the model with its numbers.
    pub conditions: Vec<String>,
    /// By payload, protocol and number of clients, in the order in which they were asked for.
    pub points: Vec<Point>,
    /// The runs in which something was wrong.
    pub violations: Vec<Failure>,
}

impl Sweep {
    fn request(&self, protocol: &str, payload: Payload, clients: u32) -> Request {
        Request {
            protocol: protocol.to_owned(),
            seeds: self.seeds.clone(),
            options: Options {
                mode: Mode::Performance,
                requests: self.requests,
                replicas: Some(self.replicas),
                attack: None,
                load: Load {
                    clients,
                    outstanding: self.outstanding,
                    request_bytes: Some(usize::from(payload.request_kib) << 10),
                    reply_bytes: usize::from(payload.reply_kib) << 10,
                    disk: self.disk,
                    window: Some(self.window),
                },
            },
            threads: self.threads,
        }
    }
}

impl Sweep {
    fn conditions(&self) -> Vec<String> {
        let payload = Payload {
            request_kib: 0,
            reply_kib: 0,
        };
        let request = self.request("", payload, 1);
        let plan = Plan::draw(self.seeds.start, &request.options, &[]);
        let (links, storage) = (&plan.links, &plan.storage);
        let us = |nanos: u64| nanos as f64 / 1e3;
        let log = if self.disk {
            format!(
                "a record is durable after {} to {} us, with all that was written by then",
                us(storage.sync_min_ns),
                us(storage.sync_max_ns)
            )
        } else {
            "a record is durable at once, as with a log in memory".to_owned()
        };
        vec![
            format!(
                "n = {}, f = {}; each client has {} under way, and its next as soon as one is answered",
                plan.roster.n(),
                plan.roster.f(),
                self.outstanding
            ),
            format!("cost model, one processor per node: {}", plan.cost),
            format!(
                "links: one-way {} to {} us by the seed, and up to {} us by chance; each node, clients too, sends and receives \
                 {} Mbit/s; what is for several is sent to each (no multicast)",
                us(links.near_ns),
                us(2 * links.near_ns),
                us(links.jitter_ns),
                links.bytes_per_s * 8 / 1_000_000
            ),
            format!("log: {log}"),
            format!(
                "seeds {}..{}; measured from {} ms on until {} answers, for {} ms at most",
                self.seeds.start,
                self.seeds.end,
                self.window.warm_up_ns / MS,
                self.requests,
                self.window.most_ns / MS
            ),
        ]
    }
}

struct Run<'a>(u64, &'a Options);

impl Visitor for Run<'_> {
    type Result = Outcome;
    fn visit<S: Subject>(self, subject: &S) -> Outcome {
        run_one(subject, self.0, self.1, Transcript::silent())
    }
}

/// Does all runs of a sweep. `progress` is told how many are done of how many each time that one is.
///
/// # Errors
/// When there is no such protocol.
pub fn sweep(
    sweep: &Sweep,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Swept, UnknownProtocol> {
    let mut loads = Vec::new();
    for payload in &sweep.payloads {
        for protocol in &sweep.protocols {
            for clients in &sweep.clients {
                let request = sweep.request(protocol, *payload, *clients);
                loads.push((payload.to_string(), *clients, request));
            }
        }
    }
    let jobs: Vec<_> = loads
        .iter()
        .enumerate()
        .flat_map(|(load, _)| sweep.seeds.clone().map(move |seed| (load, seed)))
        .collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || -> Result<(), UnknownProtocol> {
        while let Some((load, seed)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (_, _, request) = &loads[*load];
            let outcome = with(&request.protocol, Run(*seed, &request.options))?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((*load, *seed, outcome));
            progress(done.len(), jobs.len());
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..sweep.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<(), _>>()
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(load, seed, _)| (*load, *seed));
    let mut swept = Swept {
        conditions: sweep.conditions(),
        points: Vec::new(),
        violations: Vec::new(),
    };
    for (load, (payload, clients, request)) in loads.iter().enumerate() {
        let of_load = done.iter().filter(|(of, ..)| *of == load);
        let outcomes: Vec<_> = of_load.map(|(_, seed, outcome)| (*seed, outcome)).collect();
        for (seed, outcome) in &outcomes {
            if let Some(violation) = &outcome.violation {
                swept.violations.push(Failure {
                    seed: *seed,
                    violation: violation.clone(),
                    replay: request.replay(*seed),
                });
            }
        }
        let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        swept
            .points
            .push(point(&request.protocol, payload, *clients, &outcomes));
    }
    Ok(swept)
}

fn point(protocol: &str, payload: &str, clients: u32, outcomes: &[&Outcome]) -> Point {
    let mut latencies = Latencies::default();
    let (mut seconds, mut processor, mut network, mut macs) = (0.0, 0.0, 0.0, 0.0);
    let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
    for outcome in outcomes {
        let busiest =
            |of: &dyn Fn(&Meter) -> u64| outcome.meters.iter().map(of).max().unwrap_or(0) as f64;
        let took = outcome.measured_ns.max(1) as f64 / 1e9;
        let throughput = outcome.latencies.len() as f64 / took;
        (least, most) = (least.min(throughput), most.max(throughput));
        latencies.merge(&outcome.latencies);
        seconds += took;
        processor += busiest(&|meter| meter.busy_ns) / 1e9;
        network += busiest(&|meter| meter.sent.max(meter.received)) / CARD_BYTES_PER_S as f64;
        macs += busiest(&|meter| meter.macs);
    }
    let per_s = |amount: f64| if seconds > 0.0 { amount / seconds } else { 0.0 };
    Point {
        protocol: protocol.to_owned(),
        payload: payload.to_owned(),
        clients,
        seeds: outcomes.len(),
        answers: latencies.len(),
        throughput_per_s: per_s(latencies.len() as f64),
        throughput_least_per_s: least.min(most),
        throughput_most_per_s: most,
        latency_mean_ms: latencies.mean_ms(),
        latency_p50_ms: latencies.percentile_ms(50.0),
        latency_p99_ms: latencies.percentile_ms(99.0),
        processor_percent: 100.0 * per_s(processor),
        network_percent: 100.0 * per_s(network),
        macs_per_request: macs / latencies.len().max(1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_two_sizes() {
        let payload: Payload = "4/0".parse().unwrap();
        assert_eq!((payload.request_kib, payload.reply_kib), (4, 0));
        assert_eq!(payload.to_string(), "4/0");
        for bad in ["4", "4/", "/0", "4/0/0", "-1/0", "0/1025", "a/b"] {
            assert!(bad.parse::<Payload>().is_err(), "{bad}");
        }
    }
}
