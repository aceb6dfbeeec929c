//! Requests that wait to be ordered: bounded per client, taken in turns, and watched so that a primary that starves a
//! client is removed (TOCS §2.3.5: a first-in-first-out queue per backup).

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use hedgerow_base::NodeId;
use hedgerow_crypto::{Seal, Sealed};

use crate::{config::Config, messages::Request};

#[derive(Debug, Default)]
struct Queue {
    pending: BTreeMap<u64, Sealed<Request>>,
    bytes: usize,
    /// Those that are in a batch of the present view already.
    proposed: BTreeMap<u64, Option<Sealed<Request>>>,
    /// Whether the client has a place in `turns`.
    in_turn: bool,
}

impl Queue {
    /// The request of that number, pending or proposed.
    fn get(&self, number: u64) -> Option<&Sealed<Request>> {
        let proposed = || self.proposed.get(&number).and_then(Option::as_ref);
        self.pending.get(&number).or_else(proposed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Requests {
    queues: BTreeMap<NodeId, Queue>,
    turns: VecDeque<NodeId>,
    waiting: VecDeque<(NodeId, u64)>,
}

pub(crate) fn is_signed(request: &Sealed<Request>) -> bool {
    matches!(request.seal(), Seal::Signature(_))
}

impl Requests {
    /// Takes an authentic request that was not executed; says whether it is new here, or newly signed.
    pub(crate) fn add(&mut self, request: Sealed<Request>, config: &Config) -> bool {
        let (client, number) = (request.origin(), request.value().number);
        let queue = self.queues.entry(client).or_default();
        if let Some(known) = queue.pending.get_mut(&number) {
            let better = is_signed(&request) && !is_signed(known);
            if better {
                // A faulty client may use one number for two operations of different sizes.
                queue.bytes -= known.value().operation.len();
                queue.bytes += request.value().operation.len();
                *known = request;
                self.retry(client);
            }
            return better;
        }
        if queue.proposed.contains_key(&number) {
            return false;
        }
        let size = request.value().operation.len();
        if queue.pending.len() + queue.proposed.len() >= config.client_requests
            || (queue.bytes + size > config.client_request_bytes && !queue.pending.is_empty())
        {
            return false;
        }
        queue.bytes += size;
        queue.pending.insert(number, request);
        if !queue.in_turn {
            queue.in_turn = true;
            self.turns.push_back(client);
        }
        true
    }

    /// Whether this very request came from its client.
    pub(crate) fn knows(&self, request: &Sealed<Request>) -> bool {
        self.queues
            .get(&request.origin())
            .and_then(|queue| queue.get(request.value().number))
            .is_some_and(|known| known == request)
    }

    /// Watches a request that its client sent to everyone.
    pub(crate) fn watch(&mut self, client: NodeId, number: u64) {
        self.waiting.push_back((client, number));
    }

    /// The request that has been watched longest.
    pub(crate) fn watched(&self) -> Option<(NodeId, u64)> {
        self.waiting.front().copied()
    }

    /// The same with what it wants.
    pub(crate) fn first_watched(&self) -> Option<&Sealed<Request>> {
        let (client, number) = self.watched()?;
        self.queues.get(&client)?.get(number)
    }

    /// Stops watching the first.
    pub(crate) fn unwatch(&mut self) {
        self.waiting.pop_front();
    }

    /// A request is decided or out of its window: it waits no more.
    pub(crate) fn remove(&mut self, client: NodeId, number: u64) {
        if let Some(queue) = self.queues.get_mut(&client) {
            let proposed = queue.proposed.remove(&number).flatten();
            for request in [proposed, queue.pending.remove(&number)]
                .into_iter()
                .flatten()
            {
                queue.bytes -= request.value().operation.len();
            }
            if queue.pending.is_empty() && queue.proposed.is_empty() && !queue.in_turn {
                self.queues.remove(&client);
            }
        }
    }

    /// A number is in a batch already.
    pub(crate) fn mark_proposed(&mut self, client: NodeId, number: u64) {
        let queue = self.queues.entry(client).or_default();
        let request = queue.pending.remove(&number);
        let known = queue.proposed.entry(number).or_default();
        if let Some(request) = request {
            let replaced = known.replace(request);
            queue.bytes -= replaced.map_or(0, |old| old.value().operation.len());
        }
    }

    /// A new view: nothing is proposed, everyone has a turn.
    pub(crate) fn restart(&mut self) {
        self.turns.clear();
        for (&client, queue) in &mut self.queues {
            for (number, request) in core::mem::take(&mut queue.proposed) {
                if let Some(request) = request {
                    queue.pending.insert(number, request);
                }
            }
            queue.in_turn = !queue.pending.is_empty();
            if queue.in_turn {
                self.turns.push_back(client);
            }
        }
        self.queues.retain(|_, queue| queue.in_turn);
    }

    /// Takes the next batch: one request of each client in turn, so that none is starved by another.
    pub(crate) fn cut(
        &mut self,
        config: &Config,
        mut may: impl FnMut(&Sealed<Request>) -> bool,
    ) -> Vec<Sealed<Request>> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut barren = Vec::new();
        while let Some(client) = self.turns.pop_front() {
            let Some(queue) = self.queues.get_mut(&client) else {
                continue;
            };
            let next = queue
                .pending
                .iter()
                .find(|(_, request)| may(request))
                .map(|(&number, request)| (number, request.clone()));
            let Some((number, request)) = next else {
                barren.push(client);
                continue;
            };
            let size = request.value().operation.len();
            if !batch.is_empty() && bytes + size > config.batch_bytes {
                self.turns.push_front(client);
                break;
            }
            queue.pending.remove(&number);
            queue.proposed.insert(number, Some(request.clone()));
            bytes += size;
            batch.push(request);
            self.turns.push_back(client);
            if batch.len() >= config.batch_requests || bytes >= config.batch_bytes {
                break;
            }
        }
        // Clients with nothing to propose now get their turn again when something of theirs comes or is decided.
        for client in barren {
            if let Some(queue) = self.queues.get_mut(&client) {
                queue.in_turn = false;
            }
        }
        batch
    }

    /// Gives a client with waiting requests its turn back.
    pub(crate) fn retry(&mut self, client: NodeId) {
        if let Some(queue) = self.queues.get_mut(&client)
            && !queue.in_turn
            && !queue.pending.is_empty()
        {
            queue.in_turn = true;
            self.turns.push_back(client);
        }
    }

    /// All signed requests that wait, for a new primary.
    pub(crate) fn signed(&self) -> Vec<Sealed<Request>> {
        let all = self.queues.values().flat_map(|queue| {
            let proposed = queue.proposed.values().flatten();
            queue.pending.values().chain(proposed)
        });
        all.filter(|request| is_signed(request)).cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(|queue| queue.pending.len()).sum()
    }

    /// Whether anyone has a turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.turns.is_empty()
    }
}
