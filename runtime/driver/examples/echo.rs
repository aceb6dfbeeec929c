//! What a message costs: two machines on loopback that answer each other, a thousand at a time, and the same with a
//! record each that must be durable first.
//!
//! `cargo run --release -p hedgerow-driver --example echo -- [PAYLOAD BYTES] [SECONDS]`

use std::{
    env, fs,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hedgerow_base::{Digest, Lsn, NodeId, Roster, Time};
use hedgerow_crypto::{Checks, SigningKey};
use hedgerow_driver::{
    Application, ApplicationError, Clock, Driver, Handle, Options, Parts, Persistence,
};
use hedgerow_journal::{Durability, Journal, Options as JournalOptions};
use hedgerow_machine::{Codec, Input, Machine, Outbox, Protocol, Reject, Target};
use hedgerow_transport::{
    Channel, Doorbell, Limits, MailboxLimits, MemberAddress, Routes, Transport, TransportConfig,
};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

struct Echoing;

impl Protocol for Echoing {
    type Message = Bytes;
    type Command = Bytes;
    type Event = ();
    type Record = Bytes;
    type Snapshot = ();
}

/// Sends back whatever comes.
struct Echo {
    me: NodeId,
    persists: bool,
}

impl Machine<Echoing> for Echo {
    fn step(&mut self, _now: Time, input: Input<Echoing>, out: &mut Outbox<Echoing>) {
        match input {
            Input::Command(bytes) => out.send(Target::Others, bytes),
            Input::Message { from, message } => {
                // One end stores, as a replica does; the other one asks.
                let after = if self.persists && self.me == NodeId(0) {
                    out.persist(message.clone())
                } else {
                    Lsn::ZERO
                };
                out.send_after(after, Target::Node(from), message);
            }
            Input::Rejected { .. } | Input::Link { .. } | Input::Durable(_) | Input::Deadline => {}
        }
    }

    fn settle(&mut self, _now: Time, _out: &mut Outbox<Echoing>) {}

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn credit(&self) -> usize {
        usize::MAX
    }

    fn snapshot(&self) {}
}

struct Plain;

impl Codec<Echoing> for Plain {
    fn admit(&self, _link: NodeId, frame: &Bytes, _checks: &mut Checks) -> Result<Bytes, Reject> {
        Ok(Bytes::copy_from_slice(frame))
    }

    fn seal(&self, message: &Bytes, _to: Target) -> Bytes {
        message.clone()
    }
}

struct Silent;

impl Application<Echoing> for Silent {
    fn on_events(
        &mut self,
        events: &mut Vec<()>,
        _handle: &Handle<Echoing>,
    ) -> Result<(), ApplicationError> {
        events.clear();
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    // Fields 14 and 15: user and system time in clock ticks of 10 ms.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn main() -> Fallible<()> {
    let mut arguments = env::args().skip(1);
    let bytes: usize = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let dir = env::temp_dir().join(format!("hedgerow-echo-{}", std::process::id()));
    for (name, durability) in [
        ("no log", None),
        ("volatile log", Some(Durability::Volatile)),
        ("durable log", Some(Durability::Group)),
    ] {
        measure(name, durability, bytes, seconds, &dir)?;
        let _ = fs::remove_dir_all(&dir);
    }
    Ok(())
}

fn measure(
    name: &str,
    durability: Option<Durability>,
    bytes: usize,
    seconds: u64,
    dir: &std::path::Path,
) -> Fallible<()> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let mut members = Vec::new();
    for (id, socket) in (0..).zip(&sockets) {
        let public_key = SigningKey::from_seed([id as u8; 32]).verifying_key().0;
        members.push(MemberAddress {
            id: NodeId(id),
            public_key,
            address: Some(socket.local_addr()?.to_string()),
        });
    }
    let listen = [sockets[0].local_addr()?, sockets[1].local_addr()?];
    drop(sockets);
    let mut drivers = Vec::new();
    for id in 0..2 {
        let bell = Arc::new(Doorbell::new());
        let mut routes = Routes::default();
        let mailbox = routes.open(&[Channel(1)], MailboxLimits::default(), bell.clone());
        let config = TransportConfig {
            network: Digest::ZERO,
            me: NodeId(id),
            seed: [id as u8; 32],
            members: members.clone(),
            listen: Some(listen[id as usize]),
            limits: Limits::default(),
        };
        let transport = Transport::start(config, routes)?;
        let persistence = match durability.filter(|_| id == 0) {
            None => Persistence::None,
            Some(durability) => {
                let options = JournalOptions {
                    durability,
                    ..JournalOptions::default()
                };
                let journal = Box::new(Journal::open(dir, options)?.0);
                match durability {
                    Durability::Group => Persistence::Thread(journal),
                    Durability::Volatile => Persistence::Lane(journal),
                }
            }
        };
        let parts = Parts::<Echoing> {
            me: NodeId(id),
            machine: Box::new(Echo {
                me: NodeId(id),
                persists: durability.is_some(),
            }),
            last: Lsn::ZERO,
            codec: Arc::new(Plain),
            encode: |record| record.to_vec(),
            persistence,
            application: Box::new(Silent),
            transport: transport.clone(),
            mailbox,
            bell,
            clock: Clock::new(),
            options: Options::new(Roster::new(2)?, Channel(1)),
        };
        drivers.push((Driver::start(parts, || {})?, transport));
    }
    while !drivers[1].1.status()[0].connected {
        thread::sleep(Duration::from_millis(5));
    }
    let asks = drivers[1].0.handle().clone();
    asks.commands_all((0..1000).map(|_| Bytes::from(vec![7; bytes])))?;
    let (before, cpu, start) = (drivers[0].0.handle().stats(), cpu_seconds(), Instant::now());
    thread::sleep(Duration::from_secs(seconds));
    let (after, cpu, elapsed) = (
        drivers[0].0.handle().stats(),
        cpu_seconds() - cpu,
        start.elapsed().as_secs_f64(),
    );
    let round_trips = (after.messages_in - before.messages_in) as f64;
    println!(
        "{name:>12}, {bytes} B: {:>8.0} round trips/s, {:.2} us of CPU per message, {:.0} messages per burst, \
         {:.0} records per commit, {:.0} us per commit",
        round_trips / elapsed,
        cpu * 1e6 / (2.0 * round_trips),
        round_trips / (after.bursts - before.bursts) as f64,
        (after.records - before.records) as f64 / (after.syncs - before.syncs).max(1) as f64,
        (after.sync_nanos - before.sync_nanos) as f64
            / 1000.0
            / (after.syncs - before.syncs).max(1) as f64,
    );
    for (driver, transport) in drivers {
        driver.handle().stop();
        driver.join()?;
        transport.shutdown();
    }
    Ok(())
}
