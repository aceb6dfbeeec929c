//! The order's epochs, and the validators' votes for the next one. All of it is in the account of the order, whose layout
//! is in [`hedgerow_proofs::layout`]; so it is rolled back, stored and proved as the rest of the state is.

use alloy_primitives::U256;
use hedgerow_base::{Height, NodeId, NodeSet, Roster, Slot, Time};
use hedgerow_kv::StoreError;
use hedgerow_proofs::layout::{
    EPOCHS_SLOT, ORDER_ADDRESS, PROPOSALS_SLOT, epoch_slot, proposal_slot,
};
use hedgerow_records::{ProtocolName, Receipt, Rejection, Vote};
use hedgerow_state::{Account, STORAGE, State};

use crate::{BlockContext, read::damaged};

/// How many protocols a validator may vote for in one epoch. So an epoch has at most this many open proposals for each
/// validator.
pub const MAX_OPEN_VOTES: usize = 8;

/// A stretch of the order that one protocol decides. Epoch 0 is the genesis'; each later one begins when a quorum of the
/// validators has voted for its protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its number, from 0.
    pub number: u64,
    /// The name of its protocol.
    pub protocol: String,
    /// The slot in which it was decided, the last one that the protocol before it counts for; 0 for epoch 0.
    pub base: Slot,
    /// The block in which it was decided; 0 for epoch 0.
    pub height: Height,
    /// That block's time.
    pub time: Time,
}

/// A protocol that somebody has voted for in the newest epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The protocol.
    pub protocol: ProtocolName,
    /// The validators that have voted for it.
    pub voters: NodeSet,
}

/// The newest epoch that has begun in `state`; `first` is epoch 0.
///
/// # Errors
/// When the state is damaged.
pub fn newest_epoch(state: &State, first: &Epoch) -> Result<Epoch, StoreError> {
    epoch(state, first, number(state, EPOCHS_SLOT))?.ok_or_else(|| damaged(STORAGE))
}

/// The epoch with that number, when it has begun in `state`; `first` is epoch 0.
///
/// # Errors
/// When the state is damaged.
pub fn epoch(state: &State, first: &Epoch, number: u64) -> Result<Option<Epoch>, StoreError> {
    if number == 0 {
        return Ok(Some(first.clone()));
    }
    if number > self::number(state, EPOCHS_SLOT) {
        return Ok(None);
    }
    let slot = epoch_slot(number);
    let [base, height, millis, _] = *word(state, next(slot)).as_limbs();
    Ok(Some(Epoch {
        number,
        protocol: protocol(word(state, slot))?.as_str().to_owned(),
        base: Slot(base),
        height: Height(height),
        time: Time::from_millis(millis),
    }))
}

/// The newest epoch's open proposals, in the order in which they were made.
///
/// # Errors
/// When the state is damaged.
pub fn proposals(state: &State) -> Result<Vec<Proposal>, StoreError> {
    (0..number(state, PROPOSALS_SLOT))
        .map(|index| {
            let slot = proposal_slot(index);
            Ok(Proposal {
                protocol: protocol(word(state, slot))?,
                voters: voters(word(state, next(slot))),
            })
        })
        .collect()
}

/// Votes as a block counts them.
pub(crate) struct Ballot {
    epoch: Epoch,
    proposals: Vec<Proposal>,
}

impl Ballot {
    pub(crate) fn load(state: &State, first: &Epoch) -> Result<Self, StoreError> {
        let epoch = newest_epoch(state, first)?;
        let proposals = proposals(state)?;
        Ok(Self { epoch, proposals })
    }

    /// Counts a vote whose signature is good, and begins the next epoch when it is the last one needed.
    pub(crate) fn cast(
        &mut self,
        vote: &Vote,
        block: BlockContext,
        validators: Roster,
        state: &mut State,
    ) -> Result<Receipt, Rejection> {
        let place = self.place(vote, block)?;
        let proposal = vote.proposal();
        let (voters, new) = match self.proposals.get_mut(place) {
            Some(open) => {
                let new = open.voters.insert(vote.validator);
                (open.voters, new)
            }
            None => {
                let voters = NodeSet::from_iter([vote.validator]);
                self.proposals.push(Proposal {
                    protocol: vote.protocol.clone(),
                    voters,
                });
                (voters, true)
            }
        };
        let needed = validators.quorum();
        let mut began = None;
        if voters.len() >= needed {
            began = Some(self.begin(vote.protocol.as_str(), block, state));
        } else if new {
            self.write(place, state);
        }
        Ok(Receipt::Voted {
            proposal,
            height: block.height,
            // A roster has at most 128 validators.
            votes: voters.len() as u32,
            needed: needed as u32,
            began,
        })
    }

    /// Where the vote's proposal is, or is to be, among the open ones.
    fn place(&self, vote: &Vote, block: BlockContext) -> Result<usize, Rejection> {
        if vote.epoch != self.epoch.number {
            return Err(Rejection::WrongEpoch {
                found: vote.epoch,
                current: self.epoch.number,
            });
        }
        if self.epoch.base == block.slot {
            return Err(Rejection::EpochJustBegan {
                epoch: self.epoch.number,
            });
        }
        if self.epoch.protocol == vote.protocol.as_str() {
            return Err(Rejection::OrdersAlready {
                protocol: vote.protocol.clone(),
            });
        }
        let open = self.proposals.iter();
        let place = open
            .clone()
            .position(|open| open.protocol == vote.protocol)
            .unwrap_or(self.proposals.len());
        let voted = |open: &&Proposal| open.voters.contains(vote.validator);
        let again = self.proposals.get(place).as_ref().is_some_and(voted);
        if !again && open.filter(voted).count() >= MAX_OPEN_VOTES {
            return Err(Rejection::TooManyVotes {
                max: MAX_OPEN_VOTES as u32,
            });
        }
        Ok(place)
    }

    /// Begins the next epoch; what was voted for in this one lapses.
    fn begin(&mut self, protocol: &str, block: BlockContext, state: &mut State) -> u64 {
        let lapsed = number(state, PROPOSALS_SLOT);
        let mut slots = vec![(PROPOSALS_SLOT, U256::ZERO)];
        for slot in (0..lapsed).map(proposal_slot) {
            slots.extend([(slot, U256::ZERO), (next(slot), U256::ZERO)]);
        }
        let number = self.epoch.number + 1;
        let slot = epoch_slot(number);
        let place = U256::from_limbs([block.slot.0, block.height.0, block.time, 0]);
        slots.extend([
            (slot, protocol_word(protocol)),
            (next(slot), place),
            (EPOCHS_SLOT, U256::from(number)),
        ]);
        set(state, slots);
        self.proposals.clear();
        self.epoch = Epoch {
            number,
            protocol: protocol.to_owned(),
            base: block.slot,
            height: block.height,
            time: Time::from_millis(block.time),
        };
        number
    }

    /// Writes the proposal at `place`.
    fn write(&self, place: usize, state: &mut State) {
        let Some(open) = self.proposals.get(place) else {
            return;
        };
        let slot = proposal_slot(place as u64);
        let slots = vec![
            (slot, protocol_word(&open.protocol)),
            (next(slot), voters_word(open.voters)),
            (PROPOSALS_SLOT, U256::from(self.proposals.len())),
        ];
        set(state, slots);
    }
}

fn word(state: &State, slot: U256) -> U256 {
    state.storage(&ORDER_ADDRESS, &slot)
}

/// The word of a slot that counts something; never beyond 64 bits.
fn number(state: &State, slot: U256) -> u64 {
    word(state, slot).saturating_to()
}

const fn next(slot: U256) -> U256 {
    slot.wrapping_add(U256::ONE)
}

fn set(state: &mut State, slots: Vec<(U256, U256)>) {
    if state.account(&ORDER_ADDRESS).is_none() {
        let account = Account {
            nonce: 1,
            ..Account::default()
        };
        state.set_account(&ORDER_ADDRESS, account);
    }
    state.set_storage(&ORDER_ADDRESS, slots);
}

/// A name's bytes, then zeros; a name has none.
fn protocol_word(name: &str) -> U256 {
    let mut bytes = [0; ProtocolName::MAX];
    bytes
        .iter_mut()
        .zip(name.bytes())
        .for_each(|(to, from)| *to = from);
    U256::from_be_bytes(bytes)
}

fn protocol(word: U256) -> Result<ProtocolName, StoreError> {
    let bytes = word.to_be_bytes::<{ ProtocolName::MAX }>();
    let name = str::from_utf8(&bytes).ok();
    name.and_then(|name| ProtocolName::new(name.trim_end_matches('\0')).ok())
        .ok_or_else(|| damaged(STORAGE))
}

pub(crate) fn voters_word(voters: NodeSet) -> U256 {
    let mut word = U256::ZERO;
    for voter in voters.iter() {
        word.set_bit(voter.index(), true);
    }
    word
}

pub(crate) fn voters(word: U256) -> NodeSet {
    let all = (0..NodeSet::CAPACITY).map(NodeId);
    all.filter(|node| word.bit(node.index())).collect()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::uint;
    use hedgerow_base::Digest;
    use hedgerow_records::VERSION;

    use super::*;

    fn first() -> Epoch {
        Epoch {
            number: 0,
            protocol: "pbft".into(),
            base: Slot::ZERO,
            height: Height::ZERO,
            time: Time::ZERO,
        }
    }

    fn cast(state: &mut State, slot: u64, validator: u32, protocol: &str) -> Option<u64> {
        let mut ballot = Ballot::load(state, &first()).unwrap();
        let vote = Vote {
            version: VERSION,
            genesis: Digest::ZERO,
            epoch: ballot.epoch.number,
            protocol: protocol.parse().unwrap(),
            validator: NodeId(validator),
        };
        let block = BlockContext {
            height: Height(slot - 1),
            time: 1000 * slot,
            slot: Slot(slot),
        };
        let roster = Roster::new(128).unwrap();
        match ballot.cast(&vote, block, roster, state).unwrap() {
            Receipt::Voted { began, needed, .. } => {
                assert_eq!(needed, 86);
                began
            }
            other => panic!("{other:?}"),
        }
    }

    /// As a Solidity contract would have it: the arrays are at keccak256(0) and keccak256(1), both well known.
    #[test]
    fn the_account_of_the_order_is_laid_out_as_documented() {
        let epochs = uint!(0x290decd9548b62a8d60345a988386fc84ba6bc95484008f6362f93160ef3e563_U256);
        let open = uint!(0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6_U256);
        let mut state = State::default();
        for validator in (0..84).chain([127]) {
            assert_eq!(cast(&mut state, 9, validator, "r-aliph"), None);
        }
        assert_eq!(cast(&mut state, 9, 0, "chain"), None);
        let aliph = uint!(0x722d616c69706800000000000000000000000000000000000000000000000000_U256);
        let chain = uint!(0x636861696e000000000000000000000000000000000000000000000000000000_U256);
        let voters = uint!(0x80000000000fffffffffffffffffffff_U256);
        let is = |state: &State, words: &[(U256, U256)]| {
            for (slot, expected) in words {
                assert_eq!(word(state, *slot), *expected, "slot {slot:x}");
            }
        };
        let at = |array: U256, offset: u64| array + U256::from(offset);
        is(
            &state,
            &[
                (U256::ZERO, U256::ZERO),
                (U256::ONE, U256::from(2)),
                (at(open, 0), aliph),
                (at(open, 1), voters),
                (at(open, 2), chain),
                (at(open, 3), U256::ONE),
            ],
        );

        assert_eq!(cast(&mut state, 9, 126, "r-aliph"), Some(1));
        // time 9000, height 8, slot 9
        let place = uint!(0x0000000000002328_0000000000000008_0000000000000009_U256);
        let cleared = (0..4).map(|offset| (at(open, offset), U256::ZERO));
        let expected: Vec<_> = cleared
            .chain([
                (U256::ZERO, U256::ONE),
                (U256::ONE, U256::ZERO),
                (at(epochs, 0), aliph),
                (at(epochs, 1), place),
            ])
            .collect();
        is(&state, &expected);
        for validator in 0..86 {
            cast(&mut state, 11, validator, "chain");
        }
        is(
            &state,
            &[(U256::ZERO, U256::from(2)), (at(epochs, 2), chain)],
        );
        assert_eq!(epoch(&state, &first(), 1).unwrap().unwrap().base, Slot(9));
        assert_eq!(newest_epoch(&state, &first()).unwrap().protocol, "chain");
    }
}
