use bytes::Bytes;
use hedgerow_abstract::Message;
use hedgerow_base::NodeId;
use hedgerow_machine::Target;
use hedgerow_world::{Attacker, Liar, Plot, Rng, Role};

use super::{
    super::Composed, abort::LyingAbort, checkpoint::LyingCheckpoint, fetch::LyingFetch,
    init::ForgedInit, inner::InBackup, link::LyingLink, macs::Macs, primary::LyingPrimary,
    response::LyingResponse, say_honestly, welcome::LyingWelcome,
};

/// All lies about messages, the one that fits for each message.
pub(super) struct Mixed {
    abort: LyingAbort,
    response: LyingResponse,
    macs: Macs,
    init: ForgedInit,
    primary: LyingPrimary,
    checkpoint: LyingCheckpoint,
    fetch: LyingFetch,
    welcome: LyingWelcome,
    link: LyingLink,
    inner: InBackup,
    ppm: u32,
}

impl Mixed {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            abort: LyingAbort::new(rng),
            response: LyingResponse::new(rng),
            macs: Macs::new(rng),
            init: ForgedInit::new(rng),
            primary: LyingPrimary::new(rng),
            checkpoint: LyingCheckpoint::new(rng),
            fetch: LyingFetch::new(rng),
            welcome: LyingWelcome::new(rng),
            link: LyingLink::new(rng),
            inner: InBackup::new(rng, Role::Replica),
            ppm: rng.spread(50_000, 1_000_000) as u32,
        }
    }
}

impl Attacker<Composed> for Mixed {
    fn say(&mut self, me: &mut Liar<'_, Composed>, to: Target, message: Message, plot: &mut Plot) {
        if !me.rng.chance(self.ppm) {
            say_honestly(me, to, &message, plot);
            return;
        }
        let spoils = me.rng.chance(300_000);
        match message {
            Message::Order(..) | Message::Checkpoint(_) if spoils => {
                self.macs.say(me, to, message, plot);
            }
            Message::Panic(_) => self.macs.say(me, to, message, plot),
            Message::Abort(_) => self.abort.say(me, to, message, plot),
            Message::Responses(_) => self.response.say(me, to, message, plot),
            Message::Init(_) => self.init.say(me, to, message, plot),
            Message::Order(..) => self.primary.say(me, to, message, plot),
            Message::Checkpoint(_) => self.checkpoint.say(me, to, message, plot),
            Message::Fetched(_) => self.fetch.say(me, to, message, plot),
            Message::Welcome(_) | Message::Status(_) => self.welcome.say(me, to, message, plot),
            Message::Chain(_) if spoils => self.macs.say(me, to, message, plot),
            Message::Chain(_) | Message::ChainReply(_) => self.link.say(me, to, message, plot),
            Message::Backup(..) => self.inner.say(me, to, message, plot),
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
        self.init.hear(me, from, frame, plot) && self.inner.hear(me, from, frame, plot)
    }
}
