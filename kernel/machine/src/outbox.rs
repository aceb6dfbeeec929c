use alloc::vec::Vec;

use hedgerow_base::Lsn;

use crate::{Effect, Protocol, Target};

/// Where a machine writes its effects. The caller owns it, drains it after each burst, and uses it again.
#[derive(Debug)]
pub struct Outbox<P: Protocol> {
    effects: Vec<Effect<P>>,
    next: Lsn,
}

impl<P: Protocol> Outbox<P> {
    /// An empty outbox of a machine whose log ends at `last`: the next record gets the position after it.
    #[must_use]
    pub const fn new(last: Lsn) -> Self {
        Self {
            effects: Vec::new(),
            next: last.next(),
        }
    }

    /// Sends `message` at once.
    pub fn send(&mut self, to: Target, message: P::Message) {
        self.send_after(Lsn::ZERO, to, message);
    }

    /// Sends `message` when the log is durable up to `after`.
    pub fn send_after(&mut self, after: Lsn, to: Target, message: P::Message) {
        self.effects.push(Effect::Send { to, message, after });
    }

    /// Appends `record` to the log; the position is what later effects may wait for.
    pub fn persist(&mut self, record: P::Record) -> Lsn {
        let lsn = self.next;
        self.next = lsn.next();
        self.effects.push(Effect::Persist { lsn, record });
        lsn
    }

    /// Tells the application at once.
    pub fn emit(&mut self, event: P::Event) {
        self.emit_after(Lsn::ZERO, event);
    }

    /// Tells the application when the log is durable up to `after`.
    pub fn emit_after(&mut self, after: Lsn, event: P::Event) {
        self.effects.push(Effect::Emit { event, after });
    }

    /// Gives up the records before `below`.
    pub fn release(&mut self, below: Lsn) {
        self.effects.push(Effect::Release(below));
    }

    /// The position of the last record: everything persisted so far.
    #[must_use]
    pub const fn last(&self) -> Lsn {
        self.next.previous()
    }

    /// The log has records that are not this machine's: its next one gets the position after `last`, unless it is
    /// further already.
    pub fn skip_to(&mut self, last: Lsn) {
        self.next = self.next.max(last.next());
    }

    /// How many effects wait to be carried out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.effects.len()
    }

    /// Whether there is nothing to carry out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<P>> + '_ {
        self.effects.drain(..)
    }
}
