use std::sync::Arc;

use bytes::Bytes;
use hedgerow_base::{NodeId, Roster, Time};
use hedgerow_crypto::Keyring;
use hedgerow_machine::{Codec, Protocol, Target};

use crate::{Rng, Subject};

/// Which participants can misbehave this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Replicas.
    Replica,
    /// Clients.
    Client,
    /// Both.
    Any,
}

/// A way to misbehave, by name.
pub struct Attack<S: Subject> {
    /// Its name in plans and transcripts.
    pub name: &'static str,
    /// Who can do it.
    pub role: Role,
    /// Makes the liar's will; the seed decides its details.
    pub make: fn(&mut Rng) -> Box<dyn Attacker<S>>,
}

impl<S: Subject> std::fmt::Debug for Attack<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// A liar's means: its own keys and nobody else's.
pub struct Liar<'a, S: Subject> {
    /// Its secrets, with its identifier.
    pub keyring: &'a Arc<Keyring>,
    /// Its codec: makes honest bytes out of any message.
    pub codec: &'a dyn Codec<S::Protocol>,
    /// Its part of the seed.
    pub rng: &'a mut Rng,
    /// What its clock shows.
    pub now: Time,
}

impl<S: Subject> Liar<'_, S> {
    /// Who it is.
    #[must_use]
    pub fn me(&self) -> NodeId {
        self.keyring.me()
    }

    /// The replicas.
    #[must_use]
    pub fn roster(&self) -> Roster {
        self.keyring.roster()
    }

    /// The members that `to` names.
    #[must_use]
    pub fn receivers(&self, to: Target) -> Vec<NodeId> {
        receivers(to, self.me(), self.roster())
    }
}

/// The members that a target names, for the member `me`.
pub(crate) fn receivers(to: Target, me: NodeId, roster: Roster) -> Vec<NodeId> {
    match to {
        Target::Node(node) => vec![node],
        Target::Others => roster.others(me).collect(),
        Target::All => roster.iter().collect(),
        Target::Set(set) => set.iter().collect(),
    }
}

/// What a liar does next.
#[derive(Debug, Default)]
pub struct Plot {
    pub(crate) sends: Vec<(u64, NodeId, Bytes)>,
    pub(crate) tick_in: Option<u64>,
    pub(crate) crash: bool,
}

impl Plot {
    /// Sends these bytes to `to`.
    pub fn send(&mut self, to: NodeId, frame: Bytes) {
        self.send_in(0, to, frame);
    }

    /// Sends these bytes to `to` after `nanos` nanoseconds.
    pub fn send_in(&mut self, nanos: u64, to: NodeId, frame: Bytes) {
        self.sends.push((nanos, to, frame));
    }

    /// Wants [`Attacker::tick`] after `nanos` nanoseconds.
    pub fn tick_in(&mut self, nanos: u64) {
        self.tick_in = Some(nanos);
    }

    /// Kills its own process; the simulator starts it again soon.
    pub fn crash(&mut self) {
        self.crash = true;
    }
}

/// A misbehaviour around an honest machine: it sees what the machine would say and hears what comes in, and does
/// as it likes. The defaults are honest.
pub trait Attacker<S: Subject>: Send {
    /// The machine begins.
    fn start(&mut self, me: &mut Liar<'_, S>, plot: &mut Plot) {
        let _ = (me, plot);
    }

    /// The machine wants to say `message`. By default it is sealed and goes through [`Attacker::frame`].
    fn say(
        &mut self,
        me: &mut Liar<'_, S>,
        to: Target,
        message: <S::Protocol as Protocol>::Message,
        plot: &mut Plot,
    ) {
        let frame = me.codec.seal(&message, to);
        for receiver in me.receivers(to) {
            self.frame(me, receiver, frame.clone(), plot);
        }
    }

    /// A sealed frame is about to leave.
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        let _ = me;
        plot.send(to, frame);
    }

    /// A frame came in. Whether the machine may see it.
    fn hear(&mut self, me: &mut Liar<'_, S>, from: NodeId, frame: &Bytes, plot: &mut Plot) -> bool {
        let _ = (me, from, frame, plot);
        true
    }

    /// The time that [`Plot::tick_in`] asked for has come.
    fn tick(&mut self, me: &mut Liar<'_, S>, plot: &mut Plot) {
        let _ = (me, plot);
    }
}
