use std::fmt;

use hedgerow_base::{NodeId, NodeSet, Roster};
use serde::{Deserialize, Serialize};

use crate::{CostModel, MS, Rng, Role, SECOND};

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Anything goes within the fault model; only safety is checked.
    #[default]
    Safety,
    /// After a chaotic phase a quorum is healed, the rest stays broken or lying; progress is demanded.
    Liveness,
    /// No faults; computing takes time by the cost model.
    Performance,
}

impl Mode {
    /// Its name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Performance => "performance",
        }
    }
}

/// What the caller decides; the seed decides the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the run is for.
    pub mode: Mode,
    /// Requests of correct clients per run.
    pub requests: u32,
    /// How many replicas; the seed chooses where it is `None`.
    pub replicas: Option<u32>,
    /// Only this way to misbehave, where one is named; a name that no way has: nobody lies.
    pub attack: Option<String>,
    /// What clients ask for in a performance run.
    pub load: Load,
}

/// What clients ask for in a performance run, and how it is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many clients, in a closed loop: an answer is followed by the next request at once.
    pub clients: u32,
    /// How many requests each has under way.
    pub outstanding: usize,
    /// Bytes of each operation, of which it takes 12 to be told from others; `None`: up to 128, by chance.
    pub request_bytes: Option<usize>,
    /// Bytes of each reply; it takes 8 at least.
    pub reply_bytes: usize,
    /// Whether what is logged waits for a disk; if not, the log is durable at once.
    pub disk: bool,
    /// What is measured; `None`: the requests of the run, from the first to the last.
    pub window: Option<Window>,
}

/// A part of a run: clients do not stop before its end, and what was answered before its beginning does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How much virtual time goes by before it, in nanoseconds.
    pub warm_up_ns: u64,
    /// How long it lasts in virtual time, in nanoseconds, unless the requests of the run are answered within it earlier.
    pub most_ns: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            clients: 4,
            outstanding: 256,
            request_bytes: None,
            reply_bytes: 8,
            disk: true,
            window: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Safety,
            requests: 500,
            replicas: None,
            attack: None,
            load: Load::default(),
        }
    }
}

/// What a network card sends and receives in a performance run, in bytes per second: Gigabit Ethernet.
pub const CARD_BYTES_PER_S: u64 = 125_000_000;

/// Links as they are without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlan {
    /// One-way time between the closest two nodes.
    pub near_ns: u64,
    /// One-way time between those farthest apart.
    pub far_ns: u64,
    /// Greatest addition by chance.
    pub jitter_ns: u64,
    /// Frames lost, in a million.
    pub loss_ppm: u32,
    /// Frames that come twice, in a million.
    pub duplicate_ppm: u32,
    /// Frames that later ones overtake, in a million.
    pub reorder_ppm: u32,
    /// What a node's network card sends, and receives.
    pub bytes_per_s: u64,
    /// Whether a link keeps the order of its frames, as TCP does, and a network card receives no faster than it sends.
    pub orderly: bool,
}

/// What is added to the links' faults for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Frames lost, in a million.
    pub loss_ppm: u32,
    /// Frames that come twice, in a million.
    pub duplicate_ppm: u32,
    /// Frames that later ones overtake, in a million.
    pub reorder_ppm: u32,
    /// Added to every one-way time.
    pub extra_ns: u64,
}

/// Disks and applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoragePlan {
    /// Least time of a sync; 0 with `sync_max_ns` 0: the log is durable at once.
    pub sync_min_ns: u64,
    /// Greatest time of a sync.
    pub sync_max_ns: u64,
    /// Greatest time to execute a batch.
    pub execute_ns: u64,
    /// Greatest time until the application has synced what it was told to.
    pub store_ns: u64,
}

/// What clients do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadPlan {
    /// When they begin.
    pub begin_ns: u64,
    /// How many invocations and queries a client has under way at most.
    pub outstanding: usize,
    /// Mean time between requests of a client; 0: as soon as one is answered.
    pub pause_ns: u64,
    /// How many requests come at once, on average.
    pub burst: u32,
    /// Queries among the requests, in a million.
    pub reads_ppm: u32,
    /// Mean size of an operation.
    pub operation_bytes: usize,
    /// Least size of one; the greatest is as far from the mean.
    pub operation_least: usize,
    /// Size of a reply.
    pub reply_bytes: usize,
}

/// Something that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Kill a node.
    Crash(NodeId),
    /// Kill a node in the middle of carrying out the effects of its next burst; it restarts after so many ns.
    CrashInside(NodeId, u64),
    /// Kill a node when its next sync is through, before it knows; it restarts after so many ns.
    CrashAtSync(NodeId, u64),
    /// Start a node that is down.
    Restart(NodeId),
    /// Kill every replica at the same moment.
    PowerCut,
    /// Kill a replica and empty its disk, if that is within the fault budget.
    Wipe(NodeId),
    /// Remember what a replica's disk holds now.
    Copy(NodeId),
    /// Kill a replica and put the remembered copy in the place of its disk, if that is within the fault budget.
    PutBack(NodeId),
    /// Cut the links between these and all others; in both directions or only out of them.
    Separate(NodeSet, bool),
    /// Undo all cuts.
    Join,
    /// Change the weather.
    Weather(Weather),
    /// Delay everything to and from a node.
    Slow(NodeId, u64),
    /// Set a node's clock.
    Jump(NodeId, i64),
    /// Make a node's next sync take so many ns.
    Stall(NodeId, u64),
}

/// A run before it begins: everything that the seed decided, but for what it decides on the way.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What the run is for.
    pub mode: Mode,
    /// The replicas.
    pub roster: Roster,
    /// How many clients there are.
    pub clients: u32,
    /// Requests of correct clients.
    pub requests: u32,
    /// Who lies, and how.
    pub liars: Vec<(NodeId, &'static str)>,
    /// What subjects draw their configuration from; 0: as it is by default.
    pub tuning: u64,
    /// The links.
    pub links: LinkPlan,
    /// The disks.
    pub storage: StoragePlan,
    /// What computing costs.
    pub cost: CostModel,
    /// The greatest error of a clock at the start, and the greatest drift in parts per million.
    pub clocks: (u64, u64),
    /// What clients do.
    pub workload: WorkloadPlan,
    /// What is measured; `None`: everything.
    pub window: Option<Window>,
    /// What goes wrong when, in order.
    pub faults: Vec<(u64, Fault)>,
    /// When the core is healed; `None`: never.
    pub heal_at: Option<u64>,
    /// Whether only a bare quorum is healed.
    pub bare_quorum: bool,
    /// When the run ends at the latest.
    pub end_at: u64,
}

impl Plan {
    /// The liars.
    #[must_use]
    pub fn liar_set(&self) -> NodeSet {
        self.liars.iter().map(|(node, _)| *node).collect()
    }

    /// The plan of `seed`. `attacks` are the names of the ways to misbehave and who can.
    #[must_use]
    pub fn draw(seed: u64, options: &Options, attacks: &[(&'static str, Role)]) -> Self {
        let mut rng = Rng::new(seed ^ 0x6865_6467_6572_6f77);
        if options.mode == Mode::Performance {
            return Self::calm(seed, options, attacks);
        }
        let n = options.replicas.unwrap_or_else(|| {
            rng.weighted(&[
                (1, 1),
                (1, 2),
                (1, 3),
                (70, 4),
                (4, 5),
                (4, 6),
                (16, 7),
                (3, 10),
            ])
        });
        let roster = Roster::new(n.max(1)).unwrap_or_else(|error| panic!("{error}"));
        let clients = rng.between(1, 5) as u32;
        let liars = liars(&mut rng, roster, clients, options, attacks);
        let chaos = rng.spread(2 * SECOND, 30 * SECOND);
        let near_ns = rng.spread(MS / 20, 20 * MS);
        let links = LinkPlan {
            near_ns,
            far_ns: near_ns * rng.between(1, 4),
            jitter_ns: near_ns / rng.between(1, 20),
            loss_ppm: rng.weighted(&[(2, 0), (1, 1_000), (1, 10_000)]),
            duplicate_ppm: rng.weighted(&[(2, 0), (1, 1_000), (1, 20_000)]),
            reorder_ppm: rng.weighted(&[(2, 0), (1, 5_000), (1, 100_000)]),
            bytes_per_s: rng.spread(1_000_000, 1_000_000_000),
            orderly: false,
        };
        let sync_min_ns = rng.spread(MS / 20, 5 * MS);
        let storage = StoragePlan {
            sync_min_ns,
            sync_max_ns: sync_min_ns * rng.between(1, 10),
            execute_ns: rng.spread(MS / 100, 20 * MS),
            store_ns: rng.spread(MS, 500 * MS),
        };
        let share = options.requests / clients.max(1);
        let workload = WorkloadPlan {
            begin_ns: 0,
            outstanding: rng.spread(1, 32) as usize,
            pause_ns: if rng.chance(150_000) {
                0
            } else {
                chaos / u64::from(share.max(1))
            },
            burst: rng.spread(1, 16) as u32,
            reads_ppm: rng.weighted(&[(1, 0), (2, 100_000), (1, 500_000)]),
            operation_bytes: rng.spread(16, 600) as usize,
            operation_least: 0,
            reply_bytes: rng.spread(8, 200) as usize,
        };
        let mut faults = episodes(&mut rng, roster, clients, chaos);
        faults.sort_by_key(|(at, _)| *at);
        let heal = options.mode == Mode::Liveness || rng.chance(850_000);
        Self {
            seed,
            mode: options.mode,
            roster,
            clients,
            requests: options.requests,
            liars,
            tuning: rng.draw(),
            links,
            storage,
            cost: CostModel::FREE,
            clocks: (rng.spread(MS, 3_600 * SECOND), rng.spread(1, 500)),
            workload,
            window: None,
            faults,
            heal_at: heal.then_some(chaos),
            bare_quorum: options.mode == Mode::Liveness && rng.chance(500_000),
            end_at: chaos + if heal { 120 * SECOND } else { 10 * SECOND },
        }
    }

    /// A run to be measured: nothing fails, and nobody lies but in the one way that is asked for.
    fn calm(seed: u64, options: &Options, attacks: &[(&'static str, Role)]) -> Self {
        let mut rng = Rng::new(seed);
        let roster = Roster::new(options.replicas.unwrap_or(4).max(1))
            .unwrap_or_else(|error| panic!("{error}"));
        let load = &options.load;
        let clients = load.clients.max(1);
        let liars = match options.attack {
            Some(_) => liars(&mut Rng::new(seed), roster, clients, options, attacks),
            None => Vec::new(),
        };
        Self {
            seed,
            mode: Mode::Performance,
            roster,
            clients,
            requests: options.requests,
            liars,
            tuning: 0,
            links: LinkPlan {
                near_ns: MS / 10,
                far_ns: MS / 10 + rng.below(MS / 10),
                jitter_ns: MS / 50,
                loss_ppm: 0,
                duplicate_ppm: 0,
                reorder_ppm: 0,
                bytes_per_s: CARD_BYTES_PER_S,
                orderly: true,
            },
            storage: StoragePlan {
                sync_min_ns: if load.disk { MS / 5 } else { 0 },
                sync_max_ns: if load.disk { MS } else { 0 },
                execute_ns: 0,
                store_ns: 5 * MS,
            },
            cost: CostModel::SERVER,
            clocks: (MS, 10),
            workload: WorkloadPlan {
                // Replicas that have just started greet one another first, and hear no clients until then.
                begin_ns: 20 * MS,
                outstanding: load.outstanding,
                pause_ns: 0,
                burst: 1,
                reads_ppm: 0,
                operation_bytes: load.request_bytes.unwrap_or(64),
                operation_least: load.request_bytes.unwrap_or(0),
                reply_bytes: load.reply_bytes,
            },
            window: load.window,
            faults: Vec::new(),
            heal_at: Some(0),
            bare_quorum: false,
            end_at: load.window.map_or(600 * SECOND, |window| {
                window.warm_up_ns.saturating_add(window.most_ns)
            }),
        }
    }
}

fn liars(
    rng: &mut Rng,
    roster: Roster,
    clients: u32,
    options: &Options,
    attacks: &[(&'static str, Role)],
) -> Vec<(NodeId, &'static str)> {
    let wanted = |role: Role| {
        attacks
            .iter()
            .filter(move |(name, who)| {
                (*who == role || *who == Role::Any)
                    && options.attack.as_ref().is_none_or(|only| only == name)
            })
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
    };
    let mut liars = Vec::new();
    let names = wanted(Role::Replica);
    if !names.is_empty() {
        let most = roster.f() as u64;
        let count = if options.attack.is_some() || rng.chance(500_000) {
            most
        } else {
            rng.between(0, most)
        };
        let first = rng.below(roster.n() as u64) as u32;
        for step in 0..count as u32 {
            let node = NodeId((first + step) % roster.n() as u32);
            liars.push((node, *rng.pick(&names)));
        }
    }
    let names = wanted(Role::Client);
    if clients > 1 && !names.is_empty() && (rng.chance(350_000) || options.attack.is_some()) {
        let client = NodeId(roster.n() as u32 + rng.below(u64::from(clients)) as u32);
        liars.push((client, *rng.pick(&names)));
    }
    liars.sort_by_key(|(node, _)| *node);
    liars
}

/// Draws what goes wrong between the beginning and `chaos`.
fn episodes(rng: &mut Rng, roster: Roster, clients: u32, chaos: u64) -> Vec<(u64, Fault)> {
    let mut faults = Vec::new();
    let (n, members) = (roster.n() as u64, roster.n() as u64 + u64::from(clients));
    let intensity = rng.weighted(&[(1, 0), (2, 1), (4, 2), (3, 4)]);
    for _ in 0..chaos * intensity / (2 * SECOND) + u64::from(intensity > 0) {
        let at = rng.below(chaos);
        let lasting = rng.spread(20 * MS, 6 * SECOND);
        let until = at + lasting;
        let replica = NodeId(rng.below(n) as u32);
        let anyone = NodeId(rng.below(members) as u32);
        match rng.below(16) {
            0 | 1 => faults.extend([(at, Fault::Crash(anyone)), (until, Fault::Restart(anyone))]),
            2 | 3 => faults.push((at, Fault::CrashInside(anyone, lasting))),
            4 => faults.push((at, Fault::CrashAtSync(anyone, lasting))),
            5 => {
                faults.push((at, Fault::PowerCut));
                for node in roster.iter() {
                    faults.push((at + rng.spread(MS, lasting.max(MS)), Fault::Restart(node)));
                }
            }
            6 => faults.extend([(at, Fault::Wipe(replica)), (until, Fault::Restart(replica))]),
            7 => {
                let copied = at - rng.below(at / 2 + 1);
                faults.extend([
                    (copied, Fault::Copy(replica)),
                    (at, Fault::PutBack(replica)),
                    (until, Fault::Restart(replica)),
                ]);
            }
            8 | 9 => {
                let some = (0..members as u32)
                    .map(NodeId)
                    .filter(|_| rng.chance(500_000));
                let some = some.collect();
                faults.extend([
                    (at, Fault::Separate(some, rng.chance(800_000))),
                    (until, Fault::Join),
                ]);
            }
            10 => faults.extend([
                (
                    at,
                    Fault::Separate(NodeSet::from_iter([replica]), rng.chance(500_000)),
                ),
                (until, Fault::Join),
            ]),
            11 | 12 => {
                let weather = Weather {
                    loss_ppm: rng.spread(1_000, 500_000) as u32,
                    duplicate_ppm: rng.spread(1_000, 300_000) as u32,
                    reorder_ppm: rng.spread(1_000, 500_000) as u32,
                    extra_ns: rng.spread(1, 500 * MS),
                };
                faults.extend([
                    (at, Fault::Weather(weather)),
                    (until, Fault::Weather(Weather::default())),
                ]);
            }
            13 => faults.extend([
                (at, Fault::Slow(anyone, rng.spread(MS, 2 * SECOND))),
                (until, Fault::Slow(anyone, 0)),
            ]),
            14 => {
                let by = rng.spread(MS, 600 * SECOND) as i64;
                let by = if rng.chance(500_000) {
                    by
                } else {
                    -(by % (500 * MS as i64))
                };
                faults.push((at, Fault::Jump(anyone, by)));
            }
            _ => faults.push((at, Fault::Stall(anyone, rng.spread(10 * MS, 3 * SECOND)))),
        }
    }
    faults
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}, {}: {} replicas, {} clients, {} requests",
            self.seed,
            self.mode.as_str(),
            self.roster.n(),
            self.clients,
            self.requests
        )?;
        for (node, attack) in &self.liars {
            writeln!(f, "  liar {node}: {attack}")?;
        }
        writeln!(f, "  {:?}", self.links)?;
        writeln!(f, "  {:?}", self.storage)?;
        writeln!(f, "  {:?}", self.workload)?;
        writeln!(
            f,
            "  clocks off by {} ms, drift {} ppm",
            self.clocks.0 / MS,
            self.clocks.1
        )?;
        for (at, fault) in &self.faults {
            writeln!(f, "  {:>6} ms {fault:?}", at / MS)?;
        }
        if let Some(at) = self.heal_at {
            write!(f, "  {:>6} ms healed", at / MS)?;
        }
        Ok(())
    }
}
