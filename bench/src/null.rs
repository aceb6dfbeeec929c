//! Operations that do nothing: what the ordering protocol costs by itself.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_driver::ApplicationError;
use hedgerow_journal::Durability as LogDurability;
use hedgerow_node::{
    OrderingConfig,
    ordering::{self, Agreed, Consensus, Host, Participant, Role, Running, Setup},
};
use hedgerow_ordering::{Batch, Command, Event};
use hedgerow_transport::Transport;

use crate::{
    Durability, Latencies, Options, Row,
    clock::{Totals, Window, measure},
    crash::Watch,
    members::{Members, wait_for_sessions},
    threads::Threads,
};

/// At most this many client machines carry the closed-loop clients.
const CLIENT_MACHINES: u32 = 4;

/// Gives every operation the same reply. Keeps the last batches for replicas that missed some.
struct NullService {
    reply: Bytes,
    batches: Arc<AtomicU64>,
    kept: std::collections::VecDeque<Batch>,
}

/// How many batches are kept.
const KEPT: usize = 1024;

impl Host for NullService {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        participant: &dyn Participant,
    ) -> Result<(), ApplicationError> {
        let mut commands = Vec::with_capacity(events.len());
        for event in events.drain(..) {
            commands.push(match event {
                Event::Execute(batch) => {
                    self.batches.fetch_add(1, Ordering::Relaxed);
                    let (slot, count) = (batch.slot, batch.operations.len());
                    self.kept.push_back(batch);
                    if self.kept.len() > KEPT {
                        self.kept.pop_front();
                    }
                    Command::Executed {
                        slot,
                        replies: vec![self.reply.clone(); count],
                        state: Digest::ZERO,
                    }
                }
                Event::Answer { token, .. } => Command::Answered {
                    token,
                    reply: self.reply.clone(),
                },
                Event::Load { token, slot } => Command::Loaded {
                    token,
                    slot,
                    batch: self.kept.iter().find(|batch| batch.slot == slot).cloned(),
                },
                Event::Stable(slot) => Command::Stored(slot),
                Event::Rollback(slot) => {
                    let kept = self.kept.iter().take_while(|batch| batch.slot <= slot);
                    let kept = kept.count();
                    self.kept.truncate(kept);
                    Command::RolledBack(slot)
                }
                Event::Epoch(epoch) => Command::Epoch(epoch),
                Event::Final(_) | Event::Completed { .. } => continue,
            });
        }
        let _ = participant.commands_all(commands);
        Ok(())
    }
}

/// Closed-loop clients: when one's operation completes it invokes the next.
struct Clients {
    operation: Bytes,
    began: HashMap<u64, Instant>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    completed: AtomicU64,
    latencies: Mutex<Latencies>,
    window: Window,
    watch: Watch,
}

impl Host for Clients {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        participant: &dyn Participant,
    ) -> Result<(), ApplicationError> {
        let now = Instant::now();
        let mut commands = Vec::with_capacity(events.len());
        let mut last_began = None;
        {
            let open = self.shared.window.is_open();
            let mut latencies = self
                .shared
                .latencies
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            for event in events.drain(..) {
                let Event::Completed { ticket, .. } = event else {
                    continue;
                };
                self.shared.completed.fetch_add(1, Ordering::Relaxed);
                if let Some(began) = self.began.insert(ticket, now) {
                    last_began = last_began.max(Some(began));
                    if open {
                        latencies.add(now - began);
                    }
                }
                commands.push(Command::Invoke {
                    ticket,
                    operation: self.operation.clone(),
                });
            }
        }
        if !commands.is_empty() {
            self.shared
                .watch
                .completed(commands.len() as u64, last_began, now);
        }
        let _ = participant.commands_all(commands);
        Ok(())
    }
}

pub(crate) fn run(options: &Options, request: usize, reply: usize) -> Result<Row> {
    let consensus: Consensus = options.protocol.parse()?;
    let machines = options.clients.clamp(1, CLIENT_MACHINES);
    let mut members = Members::new(options.replicas, machines)?;
    let folder = tempfile::tempdir().context("a folder for the logs")?;
    let timeouts = OrderingConfig {
        request_timeout_ms: options.request_timeout_ms,
        max_timeout_ms: options.request_timeout_ms * 4,
        retransmit_ms: (options.request_timeout_ms / 2).max(1),
    };
    let batches = Arc::new(AtomicU64::new(0));
    let shared = Arc::new(Shared::default());
    let (mut running, mut transports) = (Vec::<Running>::new(), Vec::new());
    let mut threads = Threads::new();
    let mut start = |id: NodeId, role: Role, host: Box<dyn Host>| -> Result<()> {
        let seat = members.seat(id)?;
        transports.push(seat.transport.clone());
        let setup = Setup {
            keyring: seat.keyring,
            role,
            log: match options.durability {
                Durability::Fsync => Some(folder.path().join(id.0.to_string())),
                Durability::None => None,
            },
            durability: LogDurability::Group,
            host,
            transport: seat.transport,
            inbox: seat.inbox,
            agreed: Agreed {
                first: consensus,
                checkpoint_interval: 128,
            },
            timeouts,
        };
        running.push(ordering::start(setup, || {})?);
        threads.started();
        Ok(())
    };
    for id in 0..options.replicas {
        let role = Role::Replica {
            executed: Slot::ZERO,
            state: Digest::default(),
        };
        let service = NullService {
            reply: vec![0; reply].into(),
            batches: if id == 0 {
                batches.clone()
            } else {
                Arc::default()
            },
            kept: std::collections::VecDeque::new(),
        };
        start(NodeId(id), role, Box::new(service))?;
    }
    for machine in 0..machines {
        let clients = Clients {
            operation: vec![0; request].into(),
            began: HashMap::new(),
            shared: shared.clone(),
        };
        start(
            NodeId(options.replicas + machine),
            Role::Client,
            Box::new(clients),
        )?;
    }
    let replicas = options.replicas as usize;
    wait_for_sessions(&transports, replicas)?;

    for (machine, client) in running.iter().skip(replicas).enumerate() {
        let share = options.clients as usize / machines as usize
            + usize::from(machine < options.clients as usize % machines as usize);
        let first = (0..share as u64).map(|ticket| Command::Invoke {
            ticket,
            operation: vec![0; request].into(),
        });
        client.participant.commands_all(first.collect())?;
    }
    let totals = || Totals {
        completed: shared.completed.load(Ordering::Relaxed),
        batches: batches.load(Ordering::Relaxed),
        bytes: running
            .iter()
            .map(|one| one.participant.stats().bytes_out)
            .sum(),
    };
    let latencies = || {
        shared
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let crash = || {
        if let (true, Some(first), Some(sessions)) =
            (options.crash, running.first(), transports.first())
        {
            shared.watch.crash();
            first.participant.stop();
            sessions.shutdown();
        }
    };
    let row = measure(options, &shared.window, &threads, totals, latencies, crash);
    let crash = shared.watch.seen(Instant::now());
    running.iter().for_each(|one| one.participant.stop());
    for one in running {
        one.join()?;
    }
    transports.iter().for_each(Transport::shutdown);
    Ok(Row { crash, ..row? })
}
