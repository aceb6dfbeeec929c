use alloc::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_wire::{DecodeError, decode, encode};

use crate::{Numbers, replies::Replies};

/// What remembering a reply takes beyond the reply, in bytes: its number, its length and its share of the map.
pub const REPLY_OVERHEAD: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Client {
    numbers: Numbers,
    replies: Replies,
    /// What the replies take, each with its overhead.
    #[borsh(skip)]
    bytes: usize,
}

impl Client {
    fn forget_oldest(&mut self, tail: usize) {
        if let Some(reply) = self.replies.forget_oldest() {
            self.bytes -= cost(&reply, tail);
        }
    }
}

const fn cost(reply: &Bytes, tail: usize) -> usize {
    reply.len().saturating_sub(tail) + REPLY_OVERHEAD
}

/// For each client that had something executed: which of its numbers, and the replies to the newest of them.
///
/// Takes, per client, no more memory than the bound on its replies plus one reply, and a bit for each number of the
/// window. The table grows by a client only when something of it is executed: who may be one, ordering decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    window: u64,
    reply_bytes: usize,
    tail: usize,
    clients: BTreeMap<NodeId, Client>,
}

impl Clients {
    /// Nothing is executed. Of each client `window` numbers are told apart (see [`Numbers::new`]), and as many of the
    /// newest replies are remembered as fit into `reply_bytes`, each with [`REPLY_OVERHEAD`] beyond itself; the one with
    /// the highest number always stays.
    #[must_use]
    pub const fn new(window: u64, reply_bytes: usize) -> Self {
        Self {
            window,
            reply_bytes,
            tail: 0,
            clients: BTreeMap::new(),
        }
    }

    /// The same, for a protocol that appends `tail` bytes of its own to each reply. They do not count: which replies are
    /// remembered is the same in every protocol.
    #[must_use]
    pub fn with_tails(self, tail: usize) -> Self {
        Self { tail, ..self }
    }

    const fn cost(&self, reply: &Bytes) -> usize {
        cost(reply, self.tail)
    }

    /// Whether `client`'s request `number` may still be executed.
    #[must_use]
    pub fn is_fresh(&self, client: NodeId, number: u64) -> bool {
        self.clients
            .get(&client)
            .is_none_or(|client| client.numbers.is_fresh(number))
    }

    /// Takes the reply to an executed request, whose number was fresh.
    pub fn executed(&mut self, client: NodeId, number: u64, reply: Bytes) {
        let (window, tail) = (self.window, self.tail);
        let size = self.cost(&reply);
        let client = self.clients.entry(client).or_insert_with(|| Client {
            numbers: Numbers::new(window),
            replies: Replies::default(),
            bytes: 0,
        });
        let was_fresh = client.numbers.take(number);
        debug_assert!(was_fresh, "executed twice: number {number}");
        client.bytes += size;
        if let Some(before) = client.replies.insert(number, reply) {
            client.bytes -= cost(&before, tail);
        }
        if client.replies.len() as u64 > client.numbers.window() {
            let highest = client.numbers.highest();
            let oldest = highest.saturating_sub(client.numbers.window()) + 1;
            while client
                .replies
                .oldest()
                .is_some_and(|number| number < oldest)
            {
                client.forget_oldest(tail);
            }
        }
        // The newest replies that fit: the last one always stays.
        while client.bytes > self.reply_bytes && client.replies.len() > 1 {
            client.forget_oldest(tail);
        }
    }

    /// The reply to `client`'s request `number`, where it was executed and the reply is still remembered.
    #[must_use]
    pub fn reply(&self, client: NodeId, number: u64) -> Option<&Bytes> {
        self.clients.get(&client)?.replies.get(number)
    }

    /// What was used, to decide from here on which requests are new.
    #[must_use]
    pub fn numbers(&self) -> BTreeMap<NodeId, Numbers> {
        let clients = self.clients.iter();
        clients
            .map(|(&id, client)| (id, client.numbers.clone()))
            .collect()
    }

    /// The table's bytes: one encoding for one table, to be hashed into a checkpoint and to be restored from.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        encode(&self.clients).into()
    }

    /// Becomes the table that was encoded. The bytes must be vouched for, by a checkpoint's digest or by one's own log:
    /// they are checked for their form, but not bounded. The widths of known clients' windows come with the bytes;
    /// `window` stands for new clients.
    ///
    /// # Errors
    /// When the bytes are no table. Then this one stays as it was.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut clients: BTreeMap<NodeId, Client> = decode(bytes, usize::MAX)?;
        for client in clients.values_mut() {
            client.bytes = client.replies.values().map(|reply| self.cost(reply)).sum();
        }
        self.clients = clients;
        Ok(())
    }

    /// The table's bytes without the replies' tails: the same in every protocol that executed the same.
    #[must_use]
    pub fn encode_plain(&self) -> Bytes {
        let mut plain = self.clone();
        for reply in plain
            .clients
            .values_mut()
            .flat_map(|c| c.replies.values_mut())
        {
            reply.truncate(reply.len().saturating_sub(self.tail));
        }
        plain.encode()
    }

    /// Becomes the table that [`Clients::encode_plain`] gave, each reply with this tail. As [`Clients::restore`] else.
    ///
    /// # Errors
    /// When the bytes are no table. Then this one stays as it was.
    pub fn restore_plain(&mut self, bytes: &[u8], tail: &[u8]) -> Result<(), DecodeError> {
        let mut clients: BTreeMap<NodeId, Client> = decode(bytes, usize::MAX)?;
        for client in clients.values_mut() {
            client.bytes = client.replies.values().map(|reply| cost(reply, 0)).sum();
            if !tail.is_empty() {
                for reply in client.replies.values_mut() {
                    *reply = [reply, tail].concat().into();
                }
            }
        }
        self.clients = clients;
        Ok(())
    }
}
