use bytes::Bytes;
use hedgerow_abstract::{Instance, Message};
use hedgerow_base::NodeId;
use hedgerow_crypto::Checks;
use hedgerow_machine::{Codec, Reject, Target};
use hedgerow_world::{Attacker, Liar, Plot, Rng, Role, Subject};

use super::{super::Composed, keep_up, open, say_honestly, scoped};
use crate::Pbft;

/// Honest but in Backups: there it is one of the liars of the protocol inside.
pub(super) struct InBackup {
    liar: Box<dyn Attacker<Pbft>>,
    newest: Instance,
}

impl InBackup {
    pub(super) fn new(rng: &mut Rng, role: Role) -> Self {
        let mut ways = Pbft.attacks();
        ways.retain(|attack| attack.role == role || attack.role == Role::Any);
        let way = rng.below(ways.len() as u64) as usize;
        Self {
            liar: (ways[way].make)(rng),
            newest: Instance::FIRST,
        }
    }

    /// Lets the liar act in an instance.
    fn act<T>(
        &mut self,
        me: &mut Liar<'_, Composed>,
        instance: Instance,
        act: impl FnOnce(&mut dyn Attacker<Pbft>, &mut Liar<'_, Pbft>) -> T,
    ) -> T {
        let keyring = scoped(me, instance);
        let codec = Inside {
            outside: me.codec,
            instance,
        };
        let mut inside = Liar {
            keyring: &keyring,
            codec: &codec,
            rng: me.rng,
            now: me.now,
        };
        act(self.liar.as_mut(), &mut inside)
    }
}

/// The codec of the protocol inside a Backup: its frames are those of the composition.
struct Inside<'a> {
    outside: &'a dyn Codec<hedgerow_abstract::Abstract>,
    instance: Instance,
}

impl Codec<hedgerow_pbft::Pbft> for Inside<'_> {
    fn admit(
        &self,
        link: NodeId,
        frame: &Bytes,
        checks: &mut Checks,
    ) -> Result<hedgerow_pbft::Message, Reject> {
        match self.outside.admit(link, frame, checks)? {
            Message::Backup(instance, message) if instance == self.instance => Ok(message),
            _ => Err(Reject::Inadmissible("not of this Backup".into())),
        }
    }

    fn seal(&self, message: &hedgerow_pbft::Message, to: Target) -> Bytes {
        let message = Message::Backup(self.instance, message.clone());
        self.outside.seal(&message, to)
    }
}

impl Attacker<Composed> for InBackup {
    fn start(&mut self, me: &mut Liar<'_, Composed>, plot: &mut Plot) {
        let instance = self.newest;
        self.act(me, instance, |liar, me| liar.start(me, plot));
    }

    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        match message {
            Message::Backup(instance, message) => {
                self.newest = self.newest.max(instance);
                self.act(me, instance, |liar, me| liar.say(me, to, message, plot));
            }
            other => say_honestly(me, to, &other, plot),
        }
    }

    fn hear(
        &mut self,
        me: &mut Liar<'_, Composed>,
        from: NodeId,
        frame: &Bytes,
        plot: &mut Plot,
    ) -> bool {
        let Some(message) = open(me, from, frame) else {
            return true;
        };
        keep_up(&mut self.newest, &message);
        match message {
            Message::Backup(instance, _) => {
                self.act(me, instance, |liar, me| liar.hear(me, from, frame, plot))
            }
            _ => true,
        }
    }

    fn tick(&mut self, me: &mut Liar<'_, Composed>, plot: &mut Plot) {
        let instance = self.newest;
        self.act(me, instance, |liar, me| liar.tick(me, plot));
    }
}
