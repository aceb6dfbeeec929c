//! PBFT as the simulator sees it.

mod attackers;

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::{Keyring, hash};
use hedgerow_machine::{Codec, Machine};
use hedgerow_pbft::{Config, Message, PbftCodec, Record};
use hedgerow_world::{Attack, Recovered, Rng, Start, Subject, Vote};

/// The subject.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pbft;

type Protocol = hedgerow_pbft::Pbft;

/// A configuration by the run's tuning: small windows and batches make the rare cases frequent. Time-outs stay as they
/// are, since the bound on recovery is a promise of the default ones.
pub(crate) fn config(tuning: u64) -> Config {
    let default = Config::default();
    if tuning == 0 {
        return default;
    }
    let mut rng = Rng::new(tuning);
    let client_outstanding = rng.spread(1, 64) as usize;
    let config = Config {
        checkpoint_interval: rng.spread(1, 64),
        client_window: rng.spread(client_outstanding as u64 + 1, 512),
        // Enough for the replies to all that a client has under way: what is forgotten is never answered.
        client_reply_bytes: rng.spread(client_outstanding as u64 * 256, 1 << 16) as usize,
        in_flight: rng.spread(1, 16),
        batch_requests: rng.spread(1, 256) as usize,
        batch_bytes: rng.spread(64, 1 << 16) as usize,
        client_requests: rng.spread(client_outstanding as u64, 256) as usize,
        queries: rng.spread(4, 256) as usize,
        loads: rng.spread(64, 256) as usize,
        client_outstanding,
        ..default
    };
    if let Err(error) = config.check() {
        panic!("{error}");
    }
    config
}

impl Subject for Pbft {
    type Protocol = Protocol;

    fn name(&self) -> &'static str {
        "pbft"
    }

    fn replica(&self, start: Start<Protocol>) -> Recovered<Protocol> {
        let replica = hedgerow_pbft::Replica::recover(
            config(start.tuning),
            start.keyring,
            start.records,
            start.executed,
        );
        Ok(Box::new(replica.map_err(|error| error.to_string())?))
    }

    fn client(&self, start: Start<Protocol>) -> Box<dyn Machine<Protocol>> {
        let last = start.last_number();
        let client = hedgerow_pbft::Client::new(config(start.tuning), start.keyring, last);
        Box::new(client.unwrap_or_else(|error| panic!("{error}")))
    }

    fn codec(&self, keyring: &Arc<Keyring>) -> Arc<dyn Codec<Protocol>> {
        Arc::new(PbftCodec::new(Arc::clone(keyring)))
    }

    fn encode_record(&self, record: &Record) -> Bytes {
        record.encode()
    }

    fn decode_record(&self, bytes: &Bytes) -> Record {
        Record::decode(bytes).unwrap_or_else(|error| panic!("a record that was stored: {error}"))
    }

    fn votes(&self, from: NodeId, message: &Message, votes: &mut Vec<Vote>) {
        let vote = |kind, view, slot, value: Digest| Vote {
            kind,
            view,
            slot,
            value,
        };
        match message {
            Message::PrePrepare(sealed, _) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(vote("pre-prepare", said.view.0, said.slot.0, said.digest));
            }
            Message::Prepare(sealed) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(vote("prepare", said.view.0, said.slot.0, said.digest));
            }
            Message::Commit(sealed) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(vote("commit", said.view.0, said.slot.0, said.digest));
            }
            Message::Checkpoint(sealed) if sealed.origin() == from => {
                let said = sealed.value();
                votes.push(vote("checkpoint", 0, said.slot.0, said.digest));
            }
            Message::ViewChange(sealed) if sealed.origin() == from => {
                // Where its log holds it may differ; what it says may not.
                let mut said = sealed.value().clone();
                said.lsn = hedgerow_base::Lsn::ZERO;
                let value = hash(&hedgerow_wire::encode(&said));
                votes.push(vote("view-change", said.view.0, 0, value));
            }
            Message::NewView(proof) if proof.new_view.origin() == from => {
                let said = proof.new_view.value();
                let value = hash(&hedgerow_wire::encode(&said.view_changes));
                votes.push(vote("new-view", said.view.0, 0, value));
            }
            _ => {}
        }
    }

    fn attacks(&self) -> Vec<Attack<Self>> {
        attackers::all()
    }
}
