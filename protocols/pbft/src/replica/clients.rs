//! Which of each client's numbers were executed, and the replies to the latest: at most once (§4.1), with many requests
//! of one client under way. Part of the replicated state: equal at all correct replicas after the same slot.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_crypto::Hasher;
use hedgerow_wire::{DecodeError, decode, encode};

/// What remembering a reply takes beyond the reply.
pub(crate) const REPLY_OVERHEAD: usize = 16;

/// A sliding window over one client's numbers: which of the last `window` up to the highest were used.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Numbers {
    highest: u64,
    used: Vec<u64>,
}

impl Numbers {
    pub(crate) fn new(window: u64) -> Self {
        Self {
            highest: 0,
            used: vec![0; window.div_ceil(64) as usize],
        }
    }

    fn bits(&self) -> u64 {
        self.used.len() as u64 * 64
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let at = number % self.bits();
        ((at / 64) as usize, 1 << (at % 64))
    }

    /// Whether `number` may still be executed.
    pub(crate) fn is_fresh(&self, number: u64) -> bool {
        if number > self.highest {
            return true;
        }
        let (word, bit) = self.place(number);
        self.highest - number < self.bits()
            && self.used.get(word).is_some_and(|used| used & bit == 0)
    }

    /// Uses `number`; says whether it was fresh.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        if !self.is_fresh(number) {
            return false;
        }
        if number > self.highest {
            if number - self.highest >= self.bits() {
                self.used.fill(0);
            } else {
                for skipped in self.highest + 1..=number {
                    let (word, bit) = self.place(skipped);
                    if let Some(used) = self.used.get_mut(word) {
                        *used &= !bit;
                    }
                }
            }
            self.highest = number;
        }
        let (word, bit) = self.place(number);
        if let Some(used) = self.used.get_mut(word) {
            *used |= bit;
        }
        true
    }
}

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Client {
    numbers: Numbers,
    replies: BTreeMap<u64, Bytes>,
}

/// The table.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    window: u64,
    reply_bytes: usize,
    clients: BTreeMap<NodeId, Client>,
}

impl Clients {
    pub(crate) const fn new(window: u64, reply_bytes: usize) -> Self {
        Self {
            window,
            reply_bytes,
            clients: BTreeMap::new(),
        }
    }

    /// Takes the reply to an executed request.
    pub(crate) fn executed(&mut self, client: NodeId, number: u64, reply: Bytes) {
        let window = self.window;
        let client = self.clients.entry(client).or_insert_with(|| Client {
            numbers: Numbers::new(window),
            replies: BTreeMap::new(),
        });
        client.numbers.take(number);
        client.replies.insert(number, reply);
        let oldest = client.numbers.highest.saturating_sub(client.numbers.bits());
        let mut bytes: usize = 0;
        if client.replies.len() as u64 > client.numbers.bits() {
            client.replies = client.replies.split_off(&(oldest + 1));
        }
        // The newest replies that fit, deterministically: the last one always stays.
        let fits = client.replies.iter().rev().take_while(|(_, reply)| {
            let first = bytes == 0;
            bytes += reply.len() + REPLY_OVERHEAD;
            first || bytes <= self.reply_bytes
        });
        if let Some((&from, _)) = fits.last()
            && client
                .replies
                .first_key_value()
                .is_some_and(|(&first, _)| first < from)
        {
            client.replies = client.replies.split_off(&from);
        }
    }

    pub(crate) fn reply(&self, client: NodeId, number: u64) -> Option<&Bytes> {
        self.clients.get(&client)?.replies.get(&number)
    }

    /// What was used, to decide from here on which requests are new.
    pub(crate) fn numbers(&self) -> BTreeMap<NodeId, Numbers> {
        let clients = self.clients.iter();
        clients
            .map(|(&id, client)| (id, client.numbers.clone()))
            .collect()
    }

    pub(crate) fn encode(&self) -> Bytes {
        encode(&self.clients).into()
    }

    pub(crate) fn restore(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.clients = decode(bytes, usize::MAX)?;
        Ok(())
    }
}

/// What a checkpoint vouches for: the application's state and this table.
pub(crate) fn checkpoint_digest(slot: Slot, state: &Digest, clients: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher
        .update(b"pbft state\0")
        .update(&slot.0.to_le_bytes())
        .update(&state.0)
        .update(clients);
    hasher.finish()
}

/// Votes of distinct replicas, counted by what they say.
pub(crate) fn most_common<T: Ord + Copy>(
    votes: impl Iterator<Item = (NodeId, T)>,
) -> Option<(T, NodeSet)> {
    let mut tally = BTreeMap::<T, NodeSet>::new();
    for (who, what) in votes {
        tally.entry(what).or_default().insert(who);
    }
    tally.into_iter().max_by_key(|(_, who)| who.len())
}
