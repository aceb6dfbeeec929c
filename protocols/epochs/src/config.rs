use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::time::Duration;

use hedgerow_abstract::Composition;

use crate::Consensus;

/// Bounds and time-outs.
#[derive(Clone, Debug)]
pub struct Config {
    /// What orders in epoch 0. The same at every member.
    pub first: Consensus,
    /// For epochs of PBFT.
    pub pbft: hedgerow_pbft::Config,
    /// For epochs of a composition; those not named here can't be had.
    pub composed: Vec<hedgerow_abstract::Config>,
    /// How long a question or a word about the end of an epoch waits before it is said again, and how long a replica
    /// that learns that an epoch is over waits for its own protocol to get there.
    pub retry: Duration,
    /// How many old batches a replica loads for others at once.
    pub loads: usize,
}

impl Config {
    /// The usual bounds and time-outs.
    #[must_use]
    pub fn beginning_with(first: Consensus) -> Self {
        let composed = Composition::ALL.iter().copied();
        Self {
            first,
            pbft: hedgerow_pbft::Config::default(),
            composed: composed.map(hedgerow_abstract::Config::of).collect(),
            retry: Duration::from_millis(100),
            loads: 256,
        }
    }

    /// Checks what other parts rely on.
    ///
    /// # Errors
    /// Says which value is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |error: &dyn core::fmt::Display| ConfigError(error.to_string());
        self.pbft.check().map_err(|error| wrong(&error))?;
        for config in &self.composed {
            config.check().map_err(|error| wrong(&error))?;
            // What is remembered of clients goes from one epoch to the next.
            let (theirs, mine) = (&config.backup, &self.pbft);
            if (config.client_window, config.client_reply_bytes)
                != (mine.client_window, mine.client_reply_bytes)
                || (theirs.client_window, theirs.client_reply_bytes)
                    != (mine.client_window, mine.client_reply_bytes)
            {
                return Err(wrong(
                    &"client_window and client_reply_bytes must be the same for all protocols",
                ));
            }
        }
        if self.retry.is_zero() || self.loads == 0 {
            return Err(wrong(&"retry and loads must be above zero"));
        }
        Ok(())
    }

    pub(crate) fn of(&self, composition: Composition) -> Option<&hedgerow_abstract::Config> {
        self.composed
            .iter()
            .find(|config| config.composition == composition)
    }
}

/// A bound that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);
