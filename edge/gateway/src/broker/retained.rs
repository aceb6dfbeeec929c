use std::{collections::BTreeMap, sync::Arc};

use hedgerow_base::Time;

use super::{Limits, topic};
use crate::codec::Message;

#[derive(Clone, Debug)]
pub(super) struct RetainedMessage {
    pub(super) message: Message,
    pub(super) expires: Option<Time>,
}

/// The last retained message of each topic (§3.3.1.3), within bounds of number and bytes.
#[derive(Debug, Default)]
pub(super) struct Retained {
    messages: BTreeMap<Arc<str>, RetainedMessage>,
    bytes: usize,
}

impl Retained {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Keeps the message, or forgets the topic's when the payload is empty ([MQTT-3.3.1-5], [-6], [-7]).
    /// Says false when there is no room for it; the topic's earlier message is then kept.
    pub(super) fn put(
        &mut self,
        now: Time,
        message: &Message,
        expires: Option<Time>,
        limits: &Limits,
    ) -> bool {
        if message.payload.is_empty() {
            self.remove(&message.topic);
            return true;
        }
        if !self.fits(message, limits) {
            self.purge(now);
            if !self.fits(message, limits) {
                return false;
            }
        }
        self.remove(&message.topic);
        self.bytes += message.cost();
        self.messages.insert(
            message.topic.clone(),
            RetainedMessage {
                message: message.clone(),
                expires,
            },
        );
        true
    }

    fn fits(&self, message: &Message, limits: &Limits) -> bool {
        let old = self.messages.get(&message.topic);
        let count = self.messages.len() + usize::from(old.is_none());
        let bytes = self.bytes - old.map_or(0, |old| old.message.cost()) + message.cost();
        count <= limits.retained_messages && bytes <= limits.retained_bytes
    }

    fn remove(&mut self, topic: &str) {
        if let Some(old) = self.messages.remove(topic) {
            self.bytes -= old.message.cost();
        }
    }

    fn purge(&mut self, now: Time) {
        let bytes = &mut self.bytes;
        self.messages.retain(|_, kept| {
            let alive = kept.expires.is_none_or(|at| at > now);
            if !alive {
                *bytes -= kept.message.cost();
            }
            alive
        });
    }

    /// The live messages whose topics match the pattern, in the topics' order.
    pub(super) fn matching(&self, now: Time, pattern: &str) -> Vec<RetainedMessage> {
        let alive = |kept: &&RetainedMessage| kept.expires.is_none_or(|at| at > now);
        if !pattern.contains(['+', '#']) {
            return self
                .messages
                .get(pattern)
                .filter(alive)
                .cloned()
                .into_iter()
                .collect();
        }
        let matching = |(name, kept): (&Arc<str>, &RetainedMessage)| {
            (topic::matches(pattern, name) && alive(&kept)).then(|| kept.clone())
        };
        self.messages.iter().filter_map(matching).collect()
    }
}
