//! Who has which roles, and the validators' votes on it. All of it is in the account of the roles, whose layout is in
//! [`hedgerow_proofs::layout`]; a table beside it lists those who have any.

use alloy_primitives::{Address, U256};
use hedgerow_base::NodeSet;
use hedgerow_kv::{KvRead, StoreError};
use hedgerow_proofs::layout::{MOTIONS_SLOT, ROLES_ADDRESS, motion_slot, subject_slot};
use hedgerow_records::{Motion, Rejection, RoleVote, Roles, Subject};
use hedgerow_state::{State, Writes};

use crate::{
    MAX_OPEN_VOTES,
    epochs::{voters, voters_word},
    read::damaged,
    tables::ROLES,
};

/// The roles that a subject has itself, and how many motions about it have been decided.
#[must_use]
pub fn standing(state: &State, subject: Subject) -> (Roles, u64) {
    let word = state.storage(&ROLES_ADDRESS, &subject_slot(subject));
    standing_of_word(word)
}

/// What a subject's slot says: [`standing`].
#[must_use]
pub fn standing_of_word(word: U256) -> (Roles, u64) {
    let [first, second, ..] = *word.as_limbs();
    (Roles::from_bits(first as u16), first >> 16 | second << 48)
}

fn standing_word(roles: Roles, round: u64) -> U256 {
    U256::from(roles.bits()) | U256::from(round) << 16
}

/// The roles that a subject may act in: its own, and everyone's.
#[must_use]
pub fn roles_of(state: &State, subject: Subject) -> Roles {
    let (own, _) = standing(state, subject);
    let (everyones, _) = standing(state, Subject::EVERYONE);
    own.with(everyones)
}

/// Gives a subject its roles, before the first block.
pub fn set_roles(state: &mut State, writes: &mut Writes, subject: Subject, roles: Roles) {
    let slot = (subject_slot(subject), standing_word(roles, 0));
    state.set_storage(&ROLES_ADDRESS, [slot]);
    list(writes, subject, roles);
}

fn list(writes: &mut Writes, subject: Subject, roles: Roles) {
    let listed = (roles != Roles::NONE).then(|| hedgerow_wire::encode(&roles));
    writes.set(ROLES, subject.0, listed);
}

/// Up to `limit` of those who have roles, in the order of their addresses, those after `after`.
///
/// # Errors
/// When the store fails or is damaged.
pub fn subjects<S: KvRead + ?Sized>(
    store: &S,
    after: Option<Subject>,
    limit: usize,
) -> Result<Vec<(Subject, Roles)>, StoreError> {
    let from = after.map(|after| [&after.0[..], &[0]].concat());
    let found = store.scan(ROLES, &from.unwrap_or_default(), None, limit)?;
    let entries = found.into_iter().map(|(key, value)| {
        let subject = Subject(key.try_into().ok()?);
        let roles = hedgerow_wire::decode(&value, value.len()).ok()?;
        Some((subject, roles))
    });
    let entries: Option<Vec<_>> = entries.collect();
    entries.ok_or_else(|| damaged(ROLES))
}

/// A motion that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenMotion {
    /// What is moved.
    pub motion: Motion,
    /// The validators that are for it.
    pub voters: NodeSet,
}

/// The open motions, in no order that means anything.
#[must_use]
pub fn motions(state: &State) -> Vec<OpenMotion> {
    let word = |slot| state.storage(&ROLES_ADDRESS, &slot);
    let count: u64 = word(MOTIONS_SLOT).saturating_to();
    let open = (0..count).map(|index| {
        let slot = motion_slot(index);
        let first = word(slot);
        let subject = Subject(Address::from_word(first.into()).0.0);
        let (_, round) = standing(state, subject);
        let bits: U256 = first >> 160;
        OpenMotion {
            motion: Motion {
                subject,
                round,
                roles: Roles::from_bits(bits.saturating_to()),
            },
            voters: voters(word(slot.wrapping_add(U256::ONE))),
        }
    });
    open.collect()
}

/// What a block's votes change of roles and motions. It holds from the next block on: nothing of it is in the state that the
/// block's other transactions see.
#[derive(Debug, Default)]
pub struct RoleChanges {
    slots: Vec<(U256, U256)>,
    decided: Vec<Motion>,
}

impl RoleChanges {
    /// Makes it so, after the last of the block's transactions.
    pub fn apply(self, state: &mut State, writes: &mut Writes) {
        if !self.slots.is_empty() {
            state.set_storage(&ROLES_ADDRESS, self.slots);
        }
        for Motion { subject, roles, .. } in self.decided {
            list(writes, subject, roles);
        }
    }
}

/// Votes as a block counts them.
pub(crate) struct Assembly {
    open: Vec<OpenMotion>,
    /// How many motions there were before the block.
    before: u64,
    decided: Vec<Motion>,
}

impl Assembly {
    pub(crate) fn load(state: &State) -> Self {
        let open = motions(state);
        Self {
            before: open.len() as u64,
            open,
            decided: Vec::new(),
        }
    }

    /// Counts a vote whose signature is good, and decides the motion when it is the last one `needed`; gives how many are for
    /// it, and whether it is decided. `state` is as it was before the block.
    pub(crate) fn cast(
        &mut self,
        vote: &RoleVote,
        needed: u32,
        state: &State,
    ) -> Result<(u32, bool), Rejection> {
        self.check(vote, state)?;
        let same = |open: &OpenMotion| open.motion == vote.motion;
        let place = self.open.iter().position(same);
        if !vote.approves {
            return self.take_back(place, vote);
        }
        let place = match place {
            Some(place) => place,
            None => {
                self.open.push(OpenMotion {
                    motion: vote.motion,
                    voters: NodeSet::default(),
                });
                self.open.len() - 1
            }
        };
        let Some(open) = self.open.get_mut(place) else {
            return Err(Rejection::NotVoted);
        };
        open.voters.insert(vote.validator);
        let votes = open.voters.len() as u32;
        let decided = votes >= needed;
        if decided {
            let subject = vote.motion.subject;
            self.open.retain(|open| open.motion.subject != subject);
            self.decided.push(vote.motion);
        }
        Ok((votes, decided))
    }

    fn check(&self, vote: &RoleVote, state: &State) -> Result<(), Rejection> {
        let Motion {
            subject,
            round,
            roles,
        } = vote.motion;
        let (now, before) = standing(state, subject);
        let decided = self.decided.iter();
        let current = before + decided.filter(|one| one.subject == subject).count() as u64;
        if round != current {
            return Err(Rejection::WrongRound {
                found: round,
                current,
            });
        }
        if now == roles {
            return Err(Rejection::HasTheseRoles { subject, roles });
        }
        if now.has(Roles::VALIDATE) != roles.has(Roles::VALIDATE) {
            return Err(Rejection::ValidatorsStay);
        }
        let own = self.open.iter();
        let own = own.filter(|open| open.voters.contains(vote.validator));
        let others = own.filter(|open| open.motion != vote.motion).count();
        if vote.approves && others >= MAX_OPEN_VOTES {
            return Err(Rejection::TooManyMotions {
                max: MAX_OPEN_VOTES as u32,
            });
        }
        Ok(())
    }

    fn take_back(
        &mut self,
        place: Option<usize>,
        vote: &RoleVote,
    ) -> Result<(u32, bool), Rejection> {
        let open = place.and_then(|place| self.open.get_mut(place));
        let open = open.ok_or(Rejection::NotVoted)?;
        if !open.voters.remove(vote.validator) {
            return Err(Rejection::NotVoted);
        }
        let votes = open.voters.len() as u32;
        self.open.retain(|open| !open.voters.is_empty());
        Ok((votes, false))
    }

    /// What it comes to.
    pub(crate) fn close(self) -> RoleChanges {
        let mut slots = vec![(MOTIONS_SLOT, U256::from(self.open.len()))];
        for (index, open) in (0..).zip(&self.open) {
            let slot = motion_slot(index);
            let subject = Address::from(open.motion.subject.0).into_word();
            let roles = U256::from(open.motion.roles.bits()) << 160;
            slots.extend([
                (slot, U256::from_be_bytes(subject.0) | roles),
                (slot.wrapping_add(U256::ONE), voters_word(open.voters)),
            ]);
        }
        for slot in (self.open.len() as u64..self.before).map(motion_slot) {
            let next = slot.wrapping_add(U256::ONE);
            slots.extend([(slot, U256::ZERO), (next, U256::ZERO)]);
        }
        for motion in &self.decided {
            let word = standing_word(motion.roles, motion.round + 1);
            slots.push((subject_slot(motion.subject), word));
        }
        RoleChanges {
            slots,
            decided: self.decided,
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_base::{Digest, NodeId};
    use hedgerow_records::VERSION;

    use super::*;

    const NEEDED: u32 = 3;

    /// Each vote in a block of its own: what became of it.
    struct Votes(State);

    impl Votes {
        fn cast(
            &mut self,
            validator: u32,
            motion: Motion,
            approves: bool,
        ) -> Result<(u32, bool), Rejection> {
            let mut assembly = Assembly::load(&self.0);
            let result = assembly.cast(&vote(validator, motion, approves), NEEDED, &self.0);
            assembly.close().apply(&mut self.0, &mut Writes::default());
            result
        }

        fn motion(&self, subject: u8, roles: Roles) -> Motion {
            let subject = Subject([subject; 20]);
            let (_, round) = standing(&self.0, subject);
            Motion {
                subject,
                round,
                roles,
            }
        }
    }

    fn vote(validator: u32, motion: Motion, approves: bool) -> RoleVote {
        RoleVote {
            version: VERSION,
            genesis: Digest::ZERO,
            motion,
            approves,
            validator: NodeId(validator),
        }
    }

    #[test]
    fn a_motion_is_decided_once_and_ends_the_others_about_its_subject() {
        let mut votes = Votes(State::default());
        let (call, none) = (votes.motion(1, Roles::CALL), votes.motion(1, Roles::DEPLOY));
        let other = votes.motion(2, Roles::CALL);
        assert_eq!(votes.cast(0, call, true), Ok((1, false)));
        assert_eq!(votes.cast(0, call, true), Ok((1, false)), "twice is once");
        assert_eq!(votes.cast(1, none, true), Ok((1, false)));
        assert_eq!(votes.cast(1, other, true), Ok((1, false)));
        assert_eq!(votes.cast(1, call, true), Ok((2, false)));
        assert_eq!(roles_of(&votes.0, call.subject), Roles::NONE);
        assert_eq!(votes.cast(127, call, true), Ok((3, true)));
        assert_eq!(standing(&votes.0, call.subject), (Roles::CALL, 1));
        let open: Vec<_> = motions(&votes.0).iter().map(|open| open.motion).collect();
        assert_eq!(open, [other]);
        for motion in [call, none] {
            let again = votes.cast(2, motion, true);
            let over = Rejection::WrongRound {
                found: 0,
                current: 1,
            };
            assert_eq!(again, Err(over), "nothing is decided twice");
        }
        let same = votes.motion(1, Roles::CALL);
        assert!(matches!(
            votes.cast(2, same, true),
            Err(Rejection::HasTheseRoles { .. })
        ));
    }

    #[test]
    fn in_one_block_two_decisions_about_a_subject_are_two_rounds() {
        let votes = Votes(State::default());
        let mut assembly = Assembly::load(&votes.0);
        let (first, second) = (votes.motion(1, Roles::CALL), votes.motion(1, Roles::DEPLOY));
        for validator in 0..3 {
            let decided = validator == 2;
            assert_eq!(
                assembly.cast(&vote(validator, first, true), NEEDED, &votes.0),
                Ok((validator + 1, decided))
            );
        }
        assert!(
            assembly
                .cast(&vote(0, second, true), NEEDED, &votes.0)
                .is_err()
        );
        let mut state = votes.0.clone();
        assembly.close().apply(&mut state, &mut Writes::default());
        assert_eq!(standing(&state, first.subject), (Roles::CALL, 1));
    }

    #[test]
    fn a_vote_is_taken_back_and_the_last_one_ends_the_motion() {
        let mut votes = Votes(State::default());
        let motion = votes.motion(1, Roles::CALL);
        votes.cast(0, motion, true).unwrap();
        votes.cast(1, motion, true).unwrap();
        assert_eq!(votes.cast(2, motion, false), Err(Rejection::NotVoted));
        assert_eq!(votes.cast(0, motion, false), Ok((1, false)));
        assert_eq!(votes.cast(1, motion, false), Ok((0, false)));
        assert_eq!(motions(&votes.0), []);
        assert_eq!(votes.cast(1, motion, false), Err(Rejection::NotVoted));
    }

    #[test]
    fn votes_are_bounded_and_validators_stay() {
        let mut votes = Votes(State::default());
        for subject in 1..=8 {
            let motion = votes.motion(subject, Roles::CALL);
            assert_eq!(votes.cast(0, motion, true), Ok((1, false)));
        }
        let ninth = votes.motion(9, Roles::CALL);
        let full = Err(Rejection::TooManyMotions { max: 8 });
        assert_eq!(votes.cast(0, ninth, true), full);
        assert_eq!(votes.cast(1, ninth, true), Ok((1, false)), "another's may");
        let first = votes.motion(1, Roles::CALL);
        votes.cast(0, first, false).unwrap();
        assert_eq!(votes.cast(0, ninth, true), Ok((2, false)));
        let validate = votes.motion(1, Roles::VALIDATE);
        assert_eq!(
            votes.cast(2, validate, true),
            Err(Rejection::ValidatorsStay)
        );
    }
}
