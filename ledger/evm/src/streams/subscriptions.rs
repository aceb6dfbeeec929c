//! Who has subscribed to which stream, as the account of the streams has it.

use alloy_primitives::{Address, U256};
use hedgerow_proofs::layout::{self, STREAMS_ADDRESS};
use hedgerow_records::StreamId;
use hedgerow_state::State;

use crate::MAX_GAS;

/// How many contracts may subscribe to a stream.
pub(crate) const MAX_SUBSCRIBERS: u64 = 16;

/// What a transaction takes at least; a call of a subscriber, too.
const MIN_GAS: u64 = 21_000;

/// How much gas may be prepaid: less than this. Sums of it can't overflow.
const MAX_PREPAID: u64 = 1 << 48;

/// A contract's subscription to a stream. While there is one, its gas suffices for another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) subscriber: Address,
    pub(crate) gas_per_record: u64,
    pub(crate) gas_left: u64,
}

impl Subscription {
    fn of_word(word: U256) -> Self {
        let [_, _, gas_per_record, gas_left] = *word.as_limbs();
        Self {
            subscriber: Address::from_word(word.into()),
            gas_per_record: gas_per_record >> 32,
            gas_left,
        }
    }

    fn word(self) -> U256 {
        let gas = U256::from_limbs([0, 0, self.gas_per_record << 32, self.gas_left]);
        U256::from_be_bytes(self.subscriber.into_word().0) | gas
    }

    /// Whether its gas suffices for another call.
    pub(crate) const fn lasts(&self) -> bool {
        self.gas_left >= self.gas_per_record
    }

    /// Its gas with so much more; `None` when that is too much.
    pub(crate) fn with(&self, gas: u64) -> Option<u64> {
        let sum = self.gas_left.checked_add(gas);
        sum.filter(|sum| *sum < MAX_PREPAID)
    }
}

/// What holds the account's storage.
pub(crate) trait Slots {
    /// Why it can't.
    type Error;

    /// The word in a slot of the account of the streams.
    fn load(&mut self, slot: U256) -> Result<U256, Self::Error>;

    /// Sets it.
    fn store(&mut self, slot: U256, word: U256) -> Result<(), Self::Error>;
}

impl Slots for State {
    type Error = core::convert::Infallible;

    fn load(&mut self, slot: U256) -> Result<U256, Self::Error> {
        Ok(self.storage(&STREAMS_ADDRESS, &slot))
    }

    fn store(&mut self, slot: U256, word: U256) -> Result<(), Self::Error> {
        self.set_storage(&STREAMS_ADDRESS, [(slot, word)]);
        Ok(())
    }
}

/// Whether anybody has subscribed to a stream.
#[must_use]
pub fn is_subscribed(state: &State, stream: StreamId) -> bool {
    let count = layout::subscriptions_slot(stream);
    !state.storage(&STREAMS_ADDRESS, &count).is_zero()
}

/// A stream's subscriptions, in the order in which they are called.
pub(crate) struct Subscriptions {
    slot: U256,
    pub(crate) all: Vec<Subscription>,
}

/// Why a subscription can't begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    Gas,
    Twice,
    TooMany,
}

impl Subscriptions {
    pub(crate) fn load<S: Slots>(slots: &mut S, stream: StreamId) -> Result<Self, S::Error> {
        let slot = layout::subscriptions_slot(stream);
        let [count, ..] = *slots.load(slot)?.as_limbs();
        let mut all = Vec::new();
        for index in 0..count.min(MAX_SUBSCRIBERS) {
            let word = slots.load(layout::subscription_slot(slot, index))?;
            all.push(Subscription::of_word(word));
        }
        Ok(Self { slot, all })
    }

    pub(crate) fn find(&self, subscriber: Address) -> Option<usize> {
        self.all.iter().position(|one| one.subscriber == subscriber)
    }

    /// Puts a subscription to the others.
    pub(crate) fn begin<S: Slots>(
        &mut self,
        slots: &mut S,
        new: Subscription,
    ) -> Result<Result<(), Unfit>, S::Error> {
        let taken: u64 = self.all.iter().map(|one| one.gas_per_record).sum();
        let most = MAX_GAS.saturating_sub(taken);
        if self.find(new.subscriber).is_some() {
            return Ok(Err(Unfit::Twice));
        }
        if self.all.len() as u64 >= MAX_SUBSCRIBERS {
            return Ok(Err(Unfit::TooMany));
        }
        if !(MIN_GAS..=most).contains(&new.gas_per_record) || !new.lasts() || new.with(0).is_none()
        {
            return Ok(Err(Unfit::Gas));
        }
        self.all.push(new);
        self.write(slots, self.all.len() - 1)?;
        slots.store(self.slot, U256::from(self.all.len()))?;
        Ok(Ok(()))
    }

    /// Sets how much gas the one at `index` has left.
    pub(crate) fn set_gas<S: Slots>(
        &mut self,
        slots: &mut S,
        index: usize,
        gas_left: u64,
    ) -> Result<(), S::Error> {
        if let Some(one) = self.all.get_mut(index) {
            one.gas_left = gas_left;
        }
        self.write(slots, index)
    }

    /// Takes out the one at `index`; those after it move up.
    pub(crate) fn end<S: Slots>(&mut self, slots: &mut S, index: usize) -> Result<(), S::Error> {
        if index >= self.all.len() {
            return Ok(());
        }
        self.all.remove(index);
        for moved in index..self.all.len() {
            self.write(slots, moved)?;
        }
        let last = layout::subscription_slot(self.slot, self.all.len() as u64);
        slots.store(last, U256::ZERO)?;
        slots.store(self.slot, U256::from(self.all.len()))
    }

    fn write<S: Slots>(&self, slots: &mut S, index: usize) -> Result<(), S::Error> {
        let Some(one) = self.all.get(index) else {
            return Ok(());
        };
        slots.store(
            layout::subscription_slot(self.slot, index as u64),
            one.word(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_one_word_as_solidity_packs_it() {
        let one = Subscription {
            subscriber: Address::repeat_byte(0xab),
            gas_per_record: MAX_GAS,
            gas_left: MAX_PREPAID - 1,
        };
        assert_eq!(Subscription::of_word(one.word()), one);
        let packed = U256::from_be_bytes(one.subscriber.into_word().0)
            | (U256::from(MAX_GAS) << 160)
            | (U256::from(MAX_PREPAID - 1) << 192);
        assert_eq!(one.word(), packed);
    }
}
