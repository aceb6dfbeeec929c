use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use hedgerow_base::{Digest, Height, Slot, Time};
use hedgerow_chain::{Answer, Epoch, Ledger, Query, Request};
use hedgerow_driver::ApplicationError;
use hedgerow_kv::{Entry, KvRead, KvStore, StoreError, Table};
use hedgerow_ordering::{Batch, Command, Event, Operation, VOID};

use crate::{
    ordering::{Host, Participant},
    reply,
};

/// A ledger that several threads use.
pub(crate) struct Shared<S>(Arc<Mutex<Ledger<S>>>);

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: KvStore> Shared<S> {
    pub(crate) fn new(ledger: Ledger<S>) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    /// The ledger, alone. A thread that panicked with it has stopped the node: whoever comes after only reads.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: KvStore> Shared<S> {
    /// Answers a question. One about contracts holds the ledger only as long as something is looked up in it.
    pub(crate) fn answer(&self, query: &Query) -> Result<Answer, StoreError> {
        match query {
            Query::Contracts(query) => {
                let mut moment = self.lock().moment(query)?;
                moment.answer(query, self).map(Answer::Contracts)
            }
            _ => self.lock().query(query),
        }
    }
}

/// Its store, taken anew for each read.
impl<S: KvStore> KvRead for Shared<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.lock().store().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.lock().store().scan(table, from, to, limit)
    }
}

/// Whoever is told of new blocks: their heights and hashes, in order.
type Told = dyn Fn(Vec<(Height, Digest)>) + Send;

/// The replica's application: executes what is ordered, on the ledger. What is not final yet is in layers that can be
/// rolled back; only what is final is stored, shown, and told to whoever signs it.
pub(crate) struct Executor<S> {
    ledger: Shared<S>,
    /// The epoch that what it is told is ordered in; `None`: it is right, whichever that is.
    epoch: Option<u64>,
    /// Told of each burst's new final blocks.
    executed: Box<Told>,
}

impl<S: KvStore> Executor<S> {
    pub(crate) fn new(
        ledger: Shared<S>,
        executed: impl Fn(Vec<(Height, Digest)>) + Send + 'static,
    ) -> Self {
        Self {
            ledger,
            epoch: Some(0),
            executed: Box::new(executed),
        }
    }

    /// Executes a batch, unless it was ordered after the end of its epoch, and says so when it is the last of its epoch.
    fn execute(&self, batch: Batch, commands: &mut Vec<Command>) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock();
        let slot = batch.slot;
        if self.next(&ledger)?.is_some_and(|next| slot > next.base) {
            commands.push(Command::Executed {
                slot,
                replies: vec![Bytes::from_static(VOID); batch.operations.len()],
                state: ledger.head().hash,
            });
            return Ok(());
        }
        commands.push(Self::answer(&mut ledger, batch)?);
        if let Some(next) = self.next(&ledger)?.filter(|next| next.base == slot) {
            commands.push(Command::EndEpoch {
                slot,
                next: next.number,
                protocol: next.protocol.into(),
            });
        }
        Ok(())
    }

    /// What begins after the epoch that it is told of, where that has ended.
    fn next(&self, ledger: &Ledger<S>) -> Result<Option<Epoch>, StoreError> {
        match self.epoch {
            Some(number) => ledger.epoch_after(number),
            None => Ok(None),
        }
    }

    fn answer(ledger: &mut Ledger<S>, batch: Batch) -> Result<Command, StoreError> {
        let slot = batch.slot;
        if slot <= ledger.head().stable_slot {
            return recall(ledger, slot);
        }
        let requests: Vec<_> = batch.operations.iter().map(request).collect();
        let executed = ledger.execute(slot, Time::from_millis(batch.time_ms), &requests)?;
        let replies = executed.map_or_else(Vec::new, |block| {
            block
                .receipts
                .iter()
                .map(|receipts| reply::encode(block.header.height, receipts))
                .collect()
        });
        let state = ledger.head().hash;
        Ok(Command::Executed {
            slot,
            replies,
            state,
        })
    }

    /// Everything up to `slot` is final. After a restart it may be stable already.
    fn settle(&self, slot: Slot, blocks: &mut Vec<(Height, Digest)>) -> Result<(), StoreError> {
        let mut ledger = self.ledger.lock();
        // What is void was not executed.
        let end = self.next(&ledger)?.map_or(slot, |next| next.base);
        blocks.append(&mut ledger.stable_to(slot.min(end))?);
        Ok(())
    }

    /// Forgets what was executed after `slot`. What was final before a restart stays: it is executed again with the same
    /// batches, and recalled.
    fn roll_back(&self, slot: Slot) -> Command {
        let mut ledger = self.ledger.lock();
        let stable = ledger.head().stable_slot;
        ledger.rollback_to(slot.max(stable));
        Command::RolledBack(slot)
    }
}

/// The answer for a batch that was executed already: after a restart the protocol begins at its last checkpoint, and the
/// ledger has more.
fn recall<S: KvStore>(ledger: &Ledger<S>, slot: Slot) -> Result<Command, StoreError> {
    let recalled = ledger.recall(slot)?;
    // The ledger executes every slot, in order, and forgets none.
    let recalled =
        recalled.unwrap_or_else(|| panic!("slot {slot} is behind the ledger's head and not in it"));
    let replies = recalled.block.map(|(height, receipts)| {
        receipts
            .iter()
            .map(|receipts| reply::encode(height, receipts))
            .collect()
    });
    Ok(Command::Executed {
        slot,
        replies: replies.unwrap_or_default(),
        state: recalled.state,
    })
}

fn request(operation: &Operation) -> Request {
    Request {
        client: operation.client,
        number: operation.number,
        operation: operation.operation.clone(),
    }
}

fn operation(request: &Request) -> Operation {
    Operation {
        client: request.client,
        number: request.number,
        operation: request.operation.clone(),
    }
}

impl<S: KvStore + Send + 'static> Host for Executor<S> {
    fn on_events(
        &mut self,
        events: &mut Vec<Event>,
        participant: &dyn Participant,
    ) -> Result<(), ApplicationError> {
        let (mut commands, mut blocks) = (Vec::new(), Vec::new());
        for event in events.drain(..) {
            commands.push(match event {
                Event::Execute(batch) => {
                    self.execute(batch, &mut commands)?;
                    continue;
                }
                Event::Epoch(epoch) => {
                    self.epoch = epoch;
                    Command::Epoch(epoch)
                }
                Event::Final(slot) => {
                    self.settle(slot, &mut blocks)?;
                    continue;
                }
                Event::Rollback(slot) => self.roll_back(slot),
                Event::Answer { token, query } => {
                    let answer = self.ledger.lock().query_bytes(&query)?;
                    let reply = Bytes::from(answer.to_bytes());
                    Command::Answered { token, reply }
                }
                Event::Load { token, slot } => {
                    let batch = self.ledger.lock().batch(slot)?.map(|batch| Batch {
                        slot,
                        time_ms: batch.time.as_millis(),
                        operations: batch.requests.iter().map(operation).collect(),
                    });
                    Command::Loaded { token, slot, batch }
                }
                Event::Stable(_) => {
                    let mut ledger = self.ledger.lock();
                    ledger.sync()?;
                    Command::Stored(ledger.head().stable_slot)
                }
                Event::Completed { .. } => continue,
            });
        }
        if !blocks.is_empty() {
            (self.executed)(blocks);
        }
        // An error says that the participant has stopped: then nobody waits for the answers.
        let _ = participant.commands_all(commands);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
