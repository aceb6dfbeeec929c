//! A protocol that changes while it runs, as the simulator sees it.

mod attackers;

use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_crypto::{Keyring, hash};
use hedgerow_epochs::{
    Client, Config, Consensus, Epochs, EpochsCodec, Inner, Message, Record, Replica,
};
use hedgerow_machine::{Codec, Machine};
use hedgerow_world::{Attack, Recovered, Rng, Start, Subject, Vote};

use crate::{Composed, Pbft, compositions, pbft};

/// The subject: it begins with any protocol, and goes on to any other whenever an operation says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changing;

/// One operation in so many ends an epoch.
const RARITY: u8 = 20;

fn any(number: usize) -> Consensus {
    let mut all = Consensus::all();
    let count = Consensus::all().count();
    all.nth(number % count).unwrap_or(Consensus::Pbft)
}

fn config(tuning: u64) -> Config {
    let mut rng = Rng::new(tuning);
    let first = any(rng.below(1 << 16) as usize);
    let default = Config::beginning_with(first);
    if tuning == 0 {
        return default;
    }
    let mut pbft = pbft::config(tuning);
    let composed = default.composed.iter();
    let composed: Vec<_> = composed
        .map(|config| compositions::config(config.composition, tuning))
        .collect();
    if let Some(one) = composed.first() {
        // What is remembered of clients goes from one protocol to the next.
        (pbft.client_window, pbft.client_reply_bytes) = (one.client_window, one.client_reply_bytes);
        pbft.client_outstanding = one.client_outstanding;
        pbft.client_requests = pbft.client_requests.max(one.client_outstanding);
    }
    let config = Config {
        pbft,
        composed,
        loads: rng.spread(64, 256) as usize,
        ..default
    };
    if let Err(error) = config.check() {
        panic!("{error}");
    }
    config
}

impl Subject for Changing {
    type Protocol = Epochs;

    fn name(&self) -> &'static str {
        "changing"
    }

    fn replica(&self, start: Start<Epochs>) -> Recovered<Epochs> {
        let replica = Replica::recover(
            config(start.tuning),
            start.keyring,
            start.records,
            start.last,
            (start.executed, start.state),
        );
        Ok(Box::new(replica.map_err(|error| error.to_string())?))
    }

    fn client(&self, start: Start<Epochs>) -> Box<dyn Machine<Epochs>> {
        let client = Client::recover(
            config(start.tuning),
            start.keyring,
            start.records,
            start.now,
        );
        Box::new(client.unwrap_or_else(|error| panic!("{error}")))
    }

    fn codec(&self, keyring: &Arc<Keyring>) -> Arc<dyn Codec<Epochs>> {
        Arc::new(EpochsCodec::new(Arc::clone(keyring)))
    }

    fn encode_record(&self, record: &Record) -> Bytes {
        record.encode()
    }

    fn decode_record(&self, bytes: &Bytes) -> Record {
        Record::decode(bytes).unwrap_or_else(|error| panic!("a record that was stored: {error}"))
    }

    fn votes(&self, from: NodeId, message: &Message, votes: &mut Vec<Vote>) {
        let mut inner = Vec::new();
        let epoch = match message {
            Message::Ordered(epoch, Inner::Pbft(message)) => {
                Pbft.votes(from, message, &mut inner);
                *epoch
            }
            Message::Ordered(epoch, Inner::Abstract(message)) => {
                COMPOSED.votes(from, message, &mut inner);
                *epoch
            }
            Message::Ended(word) => {
                votes.push(Vote {
                    kind: "epoch",
                    view: word.value().number,
                    slot: 0,
                    value: hash(&hedgerow_wire::encode(word.value())),
                });
                return;
            }
            Message::Begun(_) | Message::Newer(_) | Message::Fetch(_) | Message::Fetched(_) => {
                return;
            }
        };
        votes.extend(inner.into_iter().map(|vote| Vote {
            view: within(epoch, vote.view),
            ..vote
        }));
    }

    fn ends(&self, operation: &[u8]) -> Option<&'static str> {
        let digest = hash(operation).0;
        (digest[0].is_multiple_of(RARITY)).then(|| any(usize::from(digest[1])).name())
    }

    fn attacks(&self) -> Vec<Attack<Self>> {
        attackers::all()
    }
}

/// For votes it does not matter which composition it is.
const COMPOSED: Composed = Composed(hedgerow_abstract::Composition::ALIPH);

const fn within(epoch: u64, view: u64) -> u64 {
    (epoch << 40) | view
}
