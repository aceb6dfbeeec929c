//! Blocks of whatever transactions: two validators, one of which forgets what it can forget, agree on every receipt
//! and root; streams only grow; epochs begin one at a time; what was kept is found again.

use arbitrary::{Arbitrary, Unstructured};
use hedgerow_base::{Height, Roster, Slot, Time};
use hedgerow_kv::{KvStore, MemoryStore};
use hedgerow_records::{Receipt, Transaction};
use hedgerow_state::{State, View, Writes};
use hedgerow_streams::{BlockContext, Epoch, Network, Streams, newest_epoch, proposals};

use super::records::{GENESIS, NETWORK, member, record, registration, vote};

#[derive(Arbitrary, Debug)]
enum Act {
    /// Make a device known; some members are none.
    Register { device: u8, member: u8 },
    /// Readings of a device: numbers near each other, so that they repeat and conflict.
    Record {
        device: u8,
        stream: bool,
        readings: Vec<(u16, u8)>,
        huge: bool,
    },
    /// A vote for one of a few protocols; some voters are no validators.
    Vote { voter: u8, epoch: u8, protocol: u8 },
    /// The same with a byte of the transaction changed.
    Forged { device: u8, at: u16, change: u8 },
    /// Anything at all.
    Bytes(Vec<u8>),
    /// The block ends.
    Block,
}

impl Act {
    fn transaction(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Register { device, member } => {
                registration(device % 4, usize::from(*member)).to_bytes()
            }
            Self::Record {
                device,
                stream,
                readings,
                huge,
            } => {
                let base = if *huge { u64::MAX - 0xffff } else { 0 };
                let readings: Vec<_> = readings
                    .iter()
                    .take(40)
                    .map(|(number, value)| (base + u64::from(*number), vec![*value % 2; 3]))
                    .collect();
                let stream = if *stream { "a" } else { "b" };
                Transaction::Record(record(device % 5, stream, &readings)).to_bytes()
            }
            Self::Vote {
                voter,
                epoch,
                protocol,
            } => {
                let protocol = format!("p{}", protocol % 12);
                vote(u32::from(voter % 6), u64::from(epoch % 3), &protocol).to_bytes()
            }
            Self::Forged { device, at, change } => {
                let good = record(device % 4, "a", &[(1, vec![1])]);
                let mut bytes = Transaction::Record(good).to_bytes();
                let length = bytes.len();
                bytes[usize::from(*at) % length] ^= change;
                bytes
            }
            Self::Bytes(bytes) => bytes.clone(),
            Self::Block => return None,
        })
    }
}

struct Validator {
    streams: Streams,
    state: State,
    store: MemoryStore,
    forgets: bool,
}

impl Validator {
    fn new(forgets: bool) -> Self {
        Self {
            streams: Streams::new(Network {
                number: NETWORK,
                genesis: GENESIS,
                validators: Roster::new(4).expect("four"),
                members: (0..5).map(|n| member(n).verifying_key()).collect(),
                first_epoch: first_epoch(),
            }),
            state: State::default(),
            store: MemoryStore::default(),
            forgets,
        }
    }

    fn epoch(&self) -> Epoch {
        newest_epoch(&self.state, &first_epoch()).expect("what was executed is intact")
    }

    fn execute(&mut self, height: u64, transactions: &[&[u8]]) -> (Vec<Receipt>, Vec<u8>) {
        let block = BlockContext {
            height: Height(height),
            time: 1_000 * height,
            slot: Slot(2 * height),
        };
        let epoch_before = self.epoch();
        let mut writes = Writes::default();
        let view = View::new(&self.store, []);
        let receipts = self
            .streams
            .execute(block, transactions, &view, &mut self.state, &mut writes)
            .expect("memory does not fail");
        let epoch = self.epoch();
        assert!(
            epoch == epoch_before
                || (epoch.number == epoch_before.number + 1 && epoch.base == block.slot),
            "{epoch_before:?}, then {epoch:?}"
        );
        assert!(proposals(&self.state).expect("intact").len() <= 4 * 8);
        let root = self.state.root().to_vec();
        self.state.take_writes(&mut writes);
        self.store
            .commit(writes.into_batch())
            .expect("memory does not fail");
        if self.forgets {
            self.streams.forget();
            self.state = State::load(&self.store).expect("what was stored can be loaded");
            assert_eq!(
                self.state.root().to_vec(),
                root,
                "the stored state has another root"
            );
        }
        (receipts, root)
    }
}

fn first_epoch() -> Epoch {
    Epoch {
        number: 0,
        protocol: "p0".into(),
        base: Slot::ZERO,
        height: Height::ZERO,
        time: Time::ZERO,
    }
}

pub(crate) fn run(data: &[u8]) {
    let Ok(acts) = Vec::<Act>::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let mut validators = [Validator::new(false), Validator::new(true)];
    let acts: Vec<_> = acts.into_iter().take(100).collect();
    for (height, block) in (1..).zip(acts.split(|act| matches!(act, Act::Block))) {
        let transactions: Vec<_> = block.iter().filter_map(Act::transaction).collect();
        let transactions: Vec<&[u8]> = transactions.iter().map(Vec::as_slice).collect();
        let [first, second] = validators
            .each_mut()
            .map(|one| one.execute(height, &transactions));
        assert_eq!(first, second, "two validators disagree");
        assert_eq!(
            first.0.len(),
            transactions.len(),
            "a transaction without a receipt"
        );
        if let [
            Receipt::Recorded {
                appended,
                duplicates,
                ..
            },
            ..,
        ] = first.0[..]
        {
            assert!(
                appended + duplicates > 0,
                "a record without a reading was kept"
            );
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    // `arbitrary` reads numbers from the front and lengths from the back: these only have to be long and mixed.
    let mut random = crate::Random::new(1);
    (0..4)
        .map(|_| (0..400).map(|_| random.next() as u8).collect())
        .collect()
}
