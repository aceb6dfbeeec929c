//! Transactions that wait to be ordered. What one sender does wrong never holds another one up: each has its own queue
//! and its own limit.

mod forward;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use bytes::Bytes;
use hedgerow_base::Height;
use hedgerow_evm::{Refusal, Transaction};
use tokio::sync::oneshot;

pub(crate) use forward::Forwarder;

use crate::error::RpcError;

/// What a pool holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Transactions in all.
    pub transactions: usize,
    /// Bytes in all.
    pub bytes: usize,
    /// Transactions of one sender.
    pub per_sender: usize,
    /// How long a transaction may wait for one before it.
    pub lifetime: Duration,
}

impl Default for PoolLimits {
    /// 16,384 transactions, 32 MiB, 1,024 of one sender, 10 minutes.
    fn default() -> Self {
        Self {
            transactions: 16_384,
            bytes: 32 << 20,
            per_sender: 1_024,
            lifetime: Duration::from_secs(600),
        }
    }
}

/// How many transactions one bundle has at most.
const BUNDLE: usize = 512;
/// How many bytes.
const BUNDLE_BYTES: usize = 1 << 20;
/// How many of one sender.
const BUNDLE_OF_ONE: usize = 256;
/// How often a transaction whose turn it is may be refused before it is given up.
const TRIES: u32 = 3;
/// How long a sender is remembered that has nothing waiting.
const REMEMBERED: Duration = Duration::from_secs(10);

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is final in this block.
    Final(Height),
    /// It is given up: why.
    Dropped(String),
}

#[derive(Debug)]
struct Entry {
    transaction: Arc<Transaction>,
    bytes: Bytes,
    added: Instant,
    under_way: bool,
    /// How often it was refused; and why, the last time.
    refused: (u32, String),
    waiters: Vec<oneshot::Sender<Fate>>,
}

#[derive(Debug)]
struct Sender {
    /// The number of its next transaction, as far as is known: what is below is final.
    next: u64,
    entries: BTreeMap<u64, Entry>,
    touched: Instant,
}

impl Sender {
    fn is_ready(&self) -> bool {
        let busy = self.entries.values().any(|entry| entry.under_way);
        !busy && self.entries.contains_key(&self.next)
    }
}

/// The pool. It has no clock and asks nobody: whoever uses it says what the ledger says.
#[derive(Debug)]
pub(crate) struct Pool {
    limits: PoolLimits,
    senders: BTreeMap<Address, Sender>,
    places: HashMap<B256, (Address, u64)>,
    bytes: usize,
    /// Senders whose next transaction can be ordered, and none of theirs is on its way.
    ready: BTreeSet<Address>,
    /// Whose turn it was last.
    last: Address,
}

/// Some transactions for the order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) hashes: Vec<B256>,
    pub(crate) bundle: Vec<Bytes>,
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self {
            limits,
            senders: BTreeMap::new(),
            places: HashMap::new(),
            bytes: 0,
            ready: BTreeSet::new(),
            last: Address::ZERO,
        }
    }

    /// Whether nothing waits, and no sender is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// The number of a sender's next transaction that is not final, where the pool knows it.
    pub(crate) fn known(&self, sender: Address) -> Option<u64> {
        self.senders.get(&sender).map(|sender| sender.next)
    }

    /// The number that a sender's next transaction should have, if all that wait are executed.
    pub(crate) fn next_free(&self, sender: Address) -> Option<u64> {
        let sender = self.senders.get(&sender)?;
        let mut next = sender.next;
        while sender.entries.contains_key(&next) {
            next += 1;
        }
        Some(next)
    }

    pub(crate) fn get(&self, hash: B256) -> Option<Arc<Transaction>> {
        self.entry(hash).map(|entry| entry.transaction.clone())
    }

    fn entry(&self, hash: B256) -> Option<&Entry> {
        let (sender, nonce) = self.places.get(&hash)?;
        self.senders.get(sender)?.entries.get(nonce)
    }

    /// How many can be ordered, and how many wait for one before them.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let pending: usize = self
            .senders
            .iter()
            .map(|(address, sender)| {
                let free = self.next_free(*address).unwrap_or(sender.next);
                sender.entries.range(..free).count()
            })
            .sum();
        (pending, self.places.len() - pending)
    }

    /// Takes a transaction. `next` is the ledger's number for the sender's next one, where the pool does not know it.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        transaction: Arc<Transaction>,
        bytes: Bytes,
        next: u64,
    ) -> Result<(), RpcError> {
        let (hash, address) = (transaction.hash(), transaction.sender());
        let nonce = transaction.envelope().nonce();
        if self.places.contains_key(&hash) {
            return Err(RpcError::server("already known"));
        }
        let sender = self.senders.get(&address);
        let next = sender.map_or(next, |sender| sender.next);
        if nonce < next {
            return Err(Refusal::NonceTooLow {
                found: nonce,
                expected: next,
            }
            .into());
        }
        let old = sender.and_then(|sender| sender.entries.get(&nonce));
        if let Some(old) = old {
            // One that is on its way can't be taken back; a tenth more replaces one that is not.
            let more = |new: u128, old: u128| new >= old.saturating_add(old / 10);
            let (new, was) = (transaction.envelope(), old.transaction.envelope());
            let tips = (
                new.max_priority_fee_per_gas(),
                was.max_priority_fee_per_gas(),
            );
            let pays = more(new.max_fee_per_gas(), was.max_fee_per_gas())
                && more(tips.0.unwrap_or(u128::MAX), tips.1.unwrap_or(0));
            if old.under_way || !pays {
                return Err(RpcError::server("replacement transaction underpriced"));
            }
        } else {
            let waiting = sender.map_or(0, |sender| sender.entries.len());
            if waiting >= self.limits.per_sender {
                return Err(RpcError::limit(format!(
                    "txpool is full: {waiting} transactions of this sender wait already"
                )));
            }
            let full = self.places.len() >= self.limits.transactions;
            if full || self.bytes + bytes.len() > self.limits.bytes {
                return Err(RpcError::limit("txpool is full: try again later"));
            }
        }
        self.remove(address, nonce, || {
            Fate::Dropped("replaced by another transaction".to_owned())
        });
        self.bytes += bytes.len();
        self.places.insert(hash, (address, nonce));
        let sender = self.senders.entry(address).or_insert_with(|| Sender {
            next,
            entries: BTreeMap::new(),
            touched: now,
        });
        sender.touched = now;
        sender.entries.insert(
            nonce,
            Entry {
                transaction,
                bytes,
                added: now,
                under_way: false,
                refused: (0, String::new()),
                waiters: Vec::new(),
            },
        );
        self.look_at(address);
        Ok(())
    }

    /// Tells of a transaction's fate; of one that is not here the receiver hears nothing.
    pub(crate) fn watch(&mut self, hash: B256) -> oneshot::Receiver<Fate> {
        let (teller, fate) = oneshot::channel();
        let entry = self
            .places
            .get(&hash)
            .and_then(|(sender, nonce)| self.senders.get_mut(sender)?.entries.get_mut(nonce));
        if let Some(entry) = entry {
            entry.waiters.push(teller);
        }
        fate
    }

    fn look_at(&mut self, address: Address) {
        if self.senders.get(&address).is_some_and(Sender::is_ready) {
            self.ready.insert(address);
        } else {
            self.ready.remove(&address);
        }
    }

    fn remove(&mut self, address: Address, nonce: u64, fate: impl FnOnce() -> Fate) {
        let entry = self
            .senders
            .get_mut(&address)
            .and_then(|sender| sender.entries.remove(&nonce));
        if let Some(entry) = entry {
            self.bytes -= entry.bytes.len();
            self.places.remove(&entry.transaction.hash());
            if !entry.waiters.is_empty() {
                let fate = fate();
                for waiter in entry.waiters {
                    // Whoever waited may have gone.
                    let _ = waiter.send(fate.clone());
                }
            }
        }
    }

    /// The next bundle: of each sender in its turn what can be ordered now. Empty when nothing can.
    pub(crate) fn take(&mut self) -> Taken {
        let (mut taken, mut size) = (Taken::default(), 0);
        let after = self
            .ready
            .range((Bound::Excluded(self.last), Bound::Unbounded));
        let turns: Vec<_> = after
            .chain(self.ready.range(..=self.last))
            .copied()
            .collect();
        for address in turns {
            let Some(sender) = self.senders.get_mut(&address) else {
                continue;
            };
            let first = sender.next;
            let run = sender.entries.range_mut(first..).zip(first..);
            let run = run.take_while(|((nonce, _), wanted)| **nonce == *wanted);
            for ((_, entry), _) in run.take(BUNDLE_OF_ONE) {
                size += entry.bytes.len();
                let full = taken.bundle.len() >= BUNDLE || size > BUNDLE_BYTES;
                if full && !taken.bundle.is_empty() {
                    self.look_at(address);
                    return taken;
                }
                entry.under_way = true;
                taken.hashes.push(entry.transaction.hash());
                taken.bundle.push(entry.bytes.clone());
            }
            self.last = address;
            self.look_at(address);
        }
        taken
    }

    /// A transaction that was taken is final.
    pub(crate) fn executed(&mut self, hash: B256, height: Height) {
        if let Some((address, nonce)) = self.places.get(&hash).copied() {
            self.remove(address, nonce, || Fate::Final(height));
            self.correct(address, nonce + 1);
        }
    }

    /// A transaction that was taken was ordered, and not executed. Its sender is to be looked up in the ledger:
    /// [`Pool::correct`].
    pub(crate) fn refused(&mut self, hash: B256, reason: &str) -> Option<Address> {
        let (address, nonce) = self.places.get(&hash).copied()?;
        let entry = self.senders.get_mut(&address)?.entries.get_mut(&nonce)?;
        entry.under_way = false;
        if !Refusal::passes(reason) {
            entry.refused = (entry.refused.0 + 1, reason.to_owned());
        }
        Some(address)
    }

    /// It is not known whether transactions that were taken were ordered: they are ordered again.
    pub(crate) fn unknown(&mut self, hashes: &[B256]) {
        for hash in hashes {
            if let Some((address, nonce)) = self.places.get(hash).copied()
                && let Some(sender) = self.senders.get_mut(&address)
                && let Some(entry) = sender.entries.get_mut(&nonce)
            {
                entry.under_way = false;
                self.look_at(address);
            }
        }
    }

    /// The ledger says that a sender's next transaction has this number.
    pub(crate) fn correct(&mut self, address: Address, next: u64) {
        let Some(sender) = self.senders.get_mut(&address) else {
            return;
        };
        sender.next = sender.next.max(next);
        let next = sender.next;
        let old: Vec<_> = sender
            .entries
            .range(..next)
            .map(|(nonce, _)| *nonce)
            .collect();
        let hopeless = sender
            .entries
            .get(&next)
            .filter(|entry| entry.refused.0 >= TRIES);
        let hopeless = hopeless.map(|entry| entry.refused.1.clone());
        for nonce in old {
            self.remove(address, nonce, || {
                Fate::Dropped(format!(
                    "nonce too low: next nonce {next}, tx nonce {nonce}"
                ))
            });
        }
        if let Some(reason) = hopeless {
            self.remove(address, next, || Fate::Dropped(reason));
        }
        self.look_at(address);
    }

    /// Senders that wait for a transaction that is not here, up to `most`: the ledger may have it by another gateway.
    pub(crate) fn stuck(&self, most: usize) -> Vec<Address> {
        let stuck = self.senders.iter().filter(|(_, sender)| {
            !sender.entries.is_empty() && !sender.entries.contains_key(&sender.next)
        });
        let mut stuck: Vec<_> = stuck
            .map(|(address, sender)| (sender.touched, *address))
            .collect();
        stuck.sort_unstable();
        stuck
            .into_iter()
            .take(most)
            .map(|(_, address)| address)
            .collect()
    }

    /// Gives up what has waited too long, and forgets senders that have nothing waiting.
    pub(crate) fn expire(&mut self, now: Instant) {
        let lifetime = self.limits.lifetime;
        let expired: Vec<_> = self
            .senders
            .iter()
            .flat_map(|(address, sender)| {
                let old = move |(nonce, entry): (&u64, &Entry)| {
                    let old = !entry.under_way && now.duration_since(entry.added) > lifetime;
                    old.then_some((*address, *nonce))
                };
                sender.entries.iter().filter_map(old)
            })
            .collect();
        for (address, nonce) in expired {
            self.remove(address, nonce, || {
                Fate::Dropped(
                    "it waited too long for the sender's transactions before it".to_owned(),
                )
            });
            self.look_at(address);
        }
        let crowded = self.senders.len() > 2 * self.limits.transactions;
        self.senders.retain(|_, sender| {
            !sender.entries.is_empty()
                || (!crowded && now.duration_since(sender.touched) < REMEMBERED)
        });
    }
}
