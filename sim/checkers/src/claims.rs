use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Checker, Observation, position_in};

use crate::orders::{Key, Orders};

/// What a client was told stays true. An answer claims a position for an operation: no other operation is ever told
/// that position or becomes final there, whatever is rolled back in between; and when the run ends with a healed core,
/// all that was claimed is final.
#[derive(Debug, Default)]
pub struct Claims {
    invoked: BTreeMap<(NodeId, u64), Bytes>,
    by_position: BTreeMap<u64, Key>,
    by_operation: BTreeMap<Key, u64>,
    orders: Orders,
}

impl Claims {
    fn claim(&mut self, position: u64, key: Key) -> Result<(), String> {
        let holder = self
            .by_position
            .entry(position)
            .or_insert_with(|| key.clone());
        if *holder != key {
            return Err(format!(
                "{key:?} was told position {position}, which {holder:?} had been told"
            ));
        }
        let settled_at = self.orders.settled_at(&key);
        self.by_operation.insert(key, position);
        self.compare(position)?;
        settled_at.map_or(Ok(()), |settled| self.compare(settled))
    }

    /// The final order at a position against what was claimed.
    fn compare(&self, position: u64) -> Result<(), String> {
        let Some(settled) = self.orders.settled(position) else {
            return Ok(());
        };
        if let Some(claimed) = self
            .by_position
            .get(&position)
            .filter(|one| *one != settled)
        {
            return Err(format!(
                "{claimed:?} was told position {position}, where {settled:?} is final"
            ));
        }
        if let Some(claimed) = self
            .by_operation
            .get(settled)
            .filter(|one| **one != position)
        {
            return Err(format!(
                "{settled:?} was told position {claimed}, and is final at {position}"
            ));
        }
        Ok(())
    }
}

impl Checker for Claims {
    fn name(&self) -> &'static str {
        "claims"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        for position in self.orders.observe(observation) {
            self.compare(position)?;
        }
        match observation {
            Observation::Invoked {
                client,
                ticket,
                operation,
            } => {
                self.invoked
                    .insert((*client, *ticket), (*operation).clone());
            }
            Observation::Completed {
                client,
                ticket,
                reply,
            } => {
                let operation = self.invoked.remove(&(*client, *ticket));
                if let (Some(operation), Some(position)) = (operation, position_in(reply)) {
                    self.claim(position, (*client, operation))?;
                }
            }
            Observation::Ended { core, .. } if !core.is_empty() => {
                let open = self
                    .by_position
                    .iter()
                    .find(|(position, _)| self.orders.settled(**position).is_none());
                if let Some((position, key)) = open {
                    return Err(format!(
                        "{key:?} was told position {position}, where nothing is final at the end"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
