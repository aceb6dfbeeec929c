//! The compositions of Abstract as the simulator sees them.

mod attackers;

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_abstract::{
    Abort, AbstractCodec, Composition, Config, Init, Instance, Kind, Message, Record, chain,
};
use hedgerow_base::NodeId;
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Codec, Machine};
use hedgerow_world::{Attack, Place, Recovered, Rng, Showing, Shown, Start, Subject, Vote};

/// A composition.
#[derive(Clone, Copy, Debug)]
pub struct Composed(pub Composition);

type Protocol = hedgerow_abstract::Abstract;

/// A configuration by the run's tuning: small windows and batches make the rare cases frequent.
pub(crate) fn config(composition: Composition, tuning: u64) -> Config {
    let default = Config::of(composition);
    if tuning == 0 {
        return default;
    }
    let mut rng = Rng::new(tuning);
    let client_outstanding = rng.spread(1, 64) as usize;
    let history = rng.spread(4, 384);
    let client_window = rng.spread(client_outstanding as u64 + 1, 512);
    // Enough for the replies to all that a client has under way, with the points at which they were given.
    let client_reply_bytes = rng.spread(client_window * 512, 1 << 20) as usize;
    let mut backup = default.backup.clone();
    backup.checkpoint_interval = rng.spread(1, 64);
    backup.in_flight = rng.spread(1, 16);
    backup.batch_requests = rng.spread(1, 256) as usize;
    backup.client_window = client_window;
    backup.client_reply_bytes = client_reply_bytes;
    backup.client_outstanding = client_outstanding;
    backup.client_requests = rng.spread(client_outstanding as u64, 256) as usize;
    let (mut backup_least, mut computation) = (default.backup_least, default.computation);
    if composition.is_robust() {
        // Short ones, so that a run has many.
        (backup_least, computation) = (rng.spread(1, 64), rng.spread(1, 128));
    }
    let config = Config {
        backup_least,
        computation,
        checkpoint_interval: rng.between(1, history / 2),
        history,
        client_window,
        client_reply_bytes,
        batch_requests: rng.spread(1, 256) as usize,
        batch_bytes: rng.spread(64, 1 << 16) as usize,
        loads: rng.spread(64, 256) as usize,
        client_outstanding,
        backup,
        ..default
    };
    if let Err(error) = config.check() {
        panic!("{error}");
    }
    config
}

/// The places that an ABORT's history goes through, as far as it tells.
fn places(abort: &Abort) -> Vec<Place> {
    let mut at = abort.base;
    let mut places = vec![(at.slot, at.chain)];
    for &entry in abort.suffix.iter() {
        at = chain(at, entry);
        places.push((at.slot, at.chain));
    }
    places
}

impl Composed {
    fn is_backup(self, instance: Instance) -> bool {
        self.0.kind(instance) == Kind::Backup
    }

    /// A proof as the checkers are told of it. How many of its ABORTs must agree follows from how many it has: of a
    /// Backup all f + 1, else f + 1 of 2f + 1 (§4.2, §4.3).
    fn began(self, init: &Init, adopted: bool) -> Shown {
        let count = init.aborts.len();
        let before = Instance(init.instance.0.saturating_sub(1));
        let agree = if self.is_backup(before) {
            count
        } else {
            count.div_ceil(2)
        };
        let ends = init.aborts.iter();
        Shown {
            epoch: init.instance.0,
            what: Showing::Began {
                ends: ends
                    .map(|abort| (abort.origin(), places(abort.value())))
                    .collect(),
                agree,
                // A Backup begins with what its order says.
                adopted: adopted && !self.is_backup(init.instance),
            },
        }
    }
}

impl Subject for Composed {
    type Protocol = Protocol;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn replica(&self, start: Start<Protocol>) -> Recovered<Protocol> {
        let replica = hedgerow_abstract::Replica::recover(
            config(self.0, start.tuning),
            start.keyring,
            start.records,
            start.executed,
        );
        Ok(Box::new(replica.map_err(|error| error.to_string())?))
    }

    fn client(&self, start: Start<Protocol>) -> Box<dyn Machine<Protocol>> {
        let last = start.last_number();
        let client =
            hedgerow_abstract::Client::new(config(self.0, start.tuning), start.keyring, last);
        Box::new(client.unwrap_or_else(|error| panic!("{error}")))
    }

    fn codec(&self, keyring: &Arc<Keyring>) -> Arc<dyn Codec<Protocol>> {
        Arc::new(AbstractCodec::new(Arc::clone(keyring)))
    }

    fn encode_record(&self, record: &Record) -> Bytes {
        record.encode()
    }

    fn decode_record(&self, bytes: &Bytes) -> Record {
        Record::decode(bytes).unwrap_or_else(|error| panic!("a record that was stored: {error}"))
    }

    fn votes(&self, from: NodeId, message: &Message, votes: &mut Vec<Vote>) {
        match message {
            Message::Order(sealed, _) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(Vote {
                    kind: "order",
                    view: said.instance.0,
                    slot: said.slot.0,
                    value: said.entry,
                });
            }
            Message::Abort(sealed) if sealed.origin() == from => {
                let said = sealed.value();
                // Where its checkpoint was may differ after a restart; where its history ends may not.
                let end = said
                    .suffix
                    .iter()
                    .fold(said.base, |at, entry| chain(at, *entry));
                votes.push(Vote {
                    kind: "abort",
                    view: said.instance.0,
                    slot: 0,
                    value: end.chain,
                });
            }
            Message::Chain(chained) => {
                let mine = chained.links.iter().filter(|said| said.origin() == from);
                votes.extend(mine.map(|said| Vote {
                    kind: "link",
                    view: said.value().instance.0,
                    slot: said.value().at.slot.0,
                    value: said.value().at.chain,
                }));
            }
            Message::Checkpoint(sealed) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(Vote {
                    kind: "checkpoint",
                    view: said.instance.0,
                    slot: said.at.slot.0,
                    value: said.at.chain,
                });
            }
            _ => {}
        }
    }

    fn shows(&self, from: NodeId, message: &Message, shown: &mut Vec<Shown>) {
        match message {
            // In a Backup clients listen to the protocol inside.
            Message::Responses(said)
                if said.origin() == from && !self.is_backup(said.value().instance) =>
            {
                shown.extend(said.value().list.iter().map(|one| Shown {
                    epoch: said.value().instance.0,
                    what: Showing::Answered((one.at.slot, one.at.chain)),
                }));
            }
            Message::Abort(said) if said.origin() == from => shown.push(Shown {
                epoch: said.value().instance.0,
                what: Showing::Ended {
                    through: places(said.value()),
                    agreed: self.is_backup(said.value().instance),
                },
            }),
            Message::Init(init) => shown.push(self.began(init, false)),
            _ => {}
        }
    }

    fn notes(&self, record: &Record, shown: &mut Vec<Shown>) {
        if let Record::Entered { init, adopted } = record {
            shown.push(self.began(init, *adopted));
        }
    }

    fn attacks(&self) -> Vec<Attack<Self>> {
        attackers::all()
    }
}
