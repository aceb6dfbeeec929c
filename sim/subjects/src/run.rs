use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use hedgerow_world::{
    Attack, Latencies, Load, MS, Options, Outcome, Plan, Subject, Transcript, Violation, World,
};

use crate::{
    Report, UnknownProtocol,
    registry::{Visitor, with},
};

/// Which runs to do.
#[derive(Clone, Debug)]
pub struct Request {
    /// The protocol's name.
    pub protocol: String,
    /// The seeds.
    pub seeds: Range<u64>,
    /// What the seeds do not decide.
    pub options: Options,
    /// How many threads; the results do not depend on it.
    pub threads: usize,
}

impl Request {
    /// The command that replays one of the seeds.
    #[must_use]
    pub fn replay(&self, seed: u64) -> String {
        let Options {
            mode,
            requests,
            replicas,
            attack,
            load,
        } = &self.options;
        let mut command = format!(
            "hedgerow sim --protocol {} --seeds {seed}..{} --requests {requests} --mode {}",
            self.protocol,
            seed + 1,
            mode.as_str()
        );
        if let Some(replicas) = replicas {
            command += &format!(" --replicas {replicas}");
        }
        if let Some(attack) = attack {
            command += &format!(" --attack {attack}");
        }
        command += &flags(load);
        command + " --trace"
    }
}

/// The arguments that ask for this load.
fn flags(load: &Load) -> String {
    let default = Load::default();
    let mut flags = String::new();
    if load.clients != default.clients {
        flags += &format!(" --clients {}", load.clients);
    }
    if load.outstanding != default.outstanding {
        flags += &format!(" --outstanding {}", load.outstanding);
    }
    if let Some(request) = load.request_bytes {
        flags += &format!(" --payload {}/{}", request >> 10, load.reply_bytes >> 10);
    }
    if !load.disk {
        flags += " --no-disk";
    }
    if let Some(window) = load.window {
        let (warm_up, most) = (window.warm_up_ns / MS, window.most_ns / MS);
        flags += &format!(" --warm-up {warm_up} --measure {most}");
    }
    flags
}

/// All ways to misbehave in a subject: those of every protocol and its own.
#[must_use]
pub fn attacks<S: Subject>(subject: &S) -> Vec<Attack<S>> {
    let mut attacks = hedgerow_attackers::generic();
    attacks.extend(subject.attacks());
    attacks
}

/// Runs every seed. `progress` is told how many seeds are done each time that one is.
///
/// # Errors
/// When there is no such protocol.
pub fn run(request: &Request, progress: &(dyn Fn(u64) + Sync)) -> Result<Report, UnknownProtocol> {
    struct Run<'a>(&'a Request, &'a (dyn Fn(u64) + Sync));
    impl Visitor for Run<'_> {
        type Result = Report;
        fn visit<S: Subject>(self, subject: &S) -> Report {
            run_subject(subject, self.0, self.1)
        }
    }
    with(&request.protocol, Run(request, progress))
}

/// Runs one seed and writes a transcript of it, line by line: first the plan, then what happens.
///
/// # Errors
/// When there is no such protocol.
pub fn trace(
    protocol: &str,
    seed: u64,
    options: &Options,
    mut line: impl FnMut(&str) + Send + 'static,
) -> Result<Outcome, UnknownProtocol> {
    struct Trace<'a>(u64, &'a Options, Transcript);
    impl Visitor for Trace<'_> {
        type Result = Outcome;
        fn visit<S: Subject>(self, subject: &S) -> Outcome {
            run_one(subject, self.0, self.1, self.2)
        }
    }
    struct Describe<'a>(u64, &'a Options);
    impl Visitor for Describe<'_> {
        type Result = String;
        fn visit<S: Subject>(self, subject: &S) -> String {
            plan(subject, self.0, self.1).to_string()
        }
    }
    for text in with(protocol, Describe(seed, options))?.lines() {
        line(text);
    }
    with(protocol, Trace(seed, options, Transcript::to(line)))
}

/// Runs every seed of the request with this subject.
pub fn run_subject<S: Subject>(
    subject: &S,
    request: &Request,
    progress: &(dyn Fn(u64) + Sync),
) -> Report {
    let next = AtomicU64::new(request.seeds.start);
    let done = Mutex::new(0);
    let (send, outcomes) = mpsc::channel();
    let mut report = Report::new(&request.protocol, request.options.mode);
    std::thread::scope(|scope| {
        for _ in 0..request.threads.max(1) {
            let (next, done, send) = (&next, &done, send.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= request.seeds.end {
                        break;
                    }
                    let outcome = run_one(subject, seed, &request.options, Transcript::silent());
                    if send.send((seed, outcome)).is_err() {
                        break;
                    }
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    *done += 1;
                    progress(*done);
                }
            });
        }
        drop(send);
        for (seed, outcome) in outcomes {
            report.add(seed, &outcome, request.replay(seed));
        }
    });
    report.finish();
    report
}

fn plan<S: Subject>(subject: &S, seed: u64, options: &Options) -> Plan {
    let attacks: Vec<_> = attacks(subject)
        .iter()
        .map(|attack| (attack.name, attack.role))
        .collect();
    Plan::draw(seed, options, &attacks)
}

/// Runs one seed. A panic in a machine is a violation, too: our own bugs panic.
pub fn run_one<S: Subject>(
    subject: &S,
    seed: u64,
    options: &Options,
    transcript: Transcript,
) -> Outcome {
    let run = || {
        let plan = plan(subject, seed, options);
        let checkers = hedgerow_checkers::all(plan.liar_set());
        World::new(subject, plan, &attacks(subject), checkers, transcript).run()
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Outcome {
            violation: Some(Violation {
                checker: "panic".into(),
                at_ms: 0,
                what,
            }),
            completed: 0,
            unanswered: 0,
            recovery_ns: None,
            trace: 0,
            ended_ns: 0,
            last_answer_ns: 0,
            latencies: Latencies::default(),
            measured_ns: 0,
            meters: Vec::new(),
            bytes: 0,
            frames: 0,
            restarts: 0,
            view_changes: 0,
            slots: 0,
            snapshots: Vec::new(),
        }
    })
}
