//! Blocks of whatever transactions: two validators, one of which forgets what it can forget, agree on every receipt
//! and root; streams only grow; epochs begin one at a time; roles change by their votes alone; what was kept is found
//! again.

use arbitrary::{Arbitrary, Unstructured};
use hedgerow_base::{Height, Roster, Slot, Time};
use hedgerow_kv::{KvStore, MemoryStore};
use hedgerow_records::{Motion, Receipt, Roles, Subject, Transaction};
use hedgerow_state::{State, View, Writes};
use hedgerow_streams::{
    BlockContext, Done, Epoch, Network, Streams, motions, newest_epoch, proposals, set_roles,
    standing, subjects,
};

use super::records::{GENESIS, NETWORK, member, record, registration, role_vote, vote};

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
    /// A vote on somebody's roles; some voters are no validators.
    RoleVote {
        voter: u8,
        subject: u8,
        round: u8,
        roles: u8,
        approves: bool,
    },
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
            Self::RoleVote {
                voter,
                subject,
                round,
                roles,
                approves,
            } => {
                let motion = Motion {
                    subject: subject_of(*subject),
                    round: u64::from(round % 3),
                    roles: Roles::from_bits(u16::from(*roles)),
                };
                role_vote(u32::from(voter % 6), motion, *approves).to_bytes()
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
        let (mut state, mut store, mut writes) =
            (State::default(), MemoryStore::default(), Writes::default());
        for number in 0..4 {
            let roles = Roles::REGISTER.with(Roles::VALIDATE);
            set_roles(&mut state, &mut writes, subject_of(number), roles);
        }
        state.take_writes(&mut writes);
        store
            .commit(writes.into_batch())
            .expect("memory does not fail");
        Self {
            streams: Streams::new(Network {
                number: NETWORK,
                genesis: GENESIS,
                validators: Roster::new(4).expect("four"),
                members: (0..5).map(|n| member(n).verifying_key()).collect(),
                first_epoch: first_epoch(),
                role_votes: 3,
            }),
            state,
            store,
            forgets,
        }
    }

    /// Each decision is one round, and there are as many as receipts say; open motions are bounded, and of their round.
    fn check_roles(&self, before: &[(Roles, u64)], receipts: &[Receipt]) {
        let now = (0..6).map(|number| standing(&self.state, subject_of(number)));
        let rounds: u64 = now
            .zip(before)
            .map(|((roles, round), (old, old_round))| {
                assert!(
                    roles == *old || round > *old_round,
                    "changed without a vote"
                );
                round - old_round
            })
            .sum();
        let decided =
            |receipt: &&Receipt| matches!(receipt, Receipt::RoleVoted { decided: true, .. });
        assert_eq!(rounds, receipts.iter().filter(decided).count() as u64);
        let open = motions(&self.state);
        assert!(open.len() <= 4 * 8);
        for one in &open {
            let (_, round) = standing(&self.state, one.motion.subject);
            assert_eq!(one.motion.round, round);
            assert!((1..3).contains(&one.voters.len()));
        }
        let listed = subjects(&self.store, None, 100).expect("what was stored is intact");
        for (subject, roles) in listed {
            assert!(roles != Roles::NONE, "{subject}");
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
        let standings = |state: &State| (0..6).map(|n| standing(state, subject_of(n))).collect();
        let before: Vec<_> = standings(&self.state);
        let Done { receipts, roles } = self
            .streams
            .execute(block, transactions, &view, &mut self.state, &mut writes)
            .expect("memory does not fail");
        assert_eq!(before, standings(&self.state), "not before the block ends");
        roles.apply(&mut self.state, &mut writes);
        self.check_roles(&before, &receipts);
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

/// Members are subjects, and accounts.
fn subject_of(number: u8) -> Subject {
    match number % 6 {
        number @ 0..4 => Subject::of_member(&member(u32::from(number)).verifying_key()),
        number => Subject([number; 20]),
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
