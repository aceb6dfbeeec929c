use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_machine::Target;
use hedgerow_pbft::Message;
use hedgerow_world::{Attacker, Liar, Plot, Rng};

use super::{
    super::Pbft, checkpoint::LyingCheckpoint, equivocate::Equivocate,
    forged_request::ForgedRequest, macs::Macs, new_view::LyingNewView, reply::LyingReply,
    say_honestly, transfer::LyingTransfer, view_change::LyingViewChange, welcome::LyingWelcome,
};

/// All lies about messages, one chosen for each message.
pub(super) struct Mixed {
    ways: Vec<Box<dyn Attacker<Pbft>>>,
    ppm: u32,
}

impl Mixed {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            ways: vec![
                Box::new(Equivocate::new(rng)),
                Box::new(Macs::new(rng)),
                Box::new(LyingViewChange::new(rng)),
                Box::new(LyingNewView::new(rng)),
                Box::new(LyingCheckpoint::new(rng)),
                Box::new(LyingTransfer::new(rng)),
                Box::new(ForgedRequest::new(rng)),
                Box::new(LyingWelcome::new(rng)),
                Box::new(LyingReply::new(rng)),
            ],
            ppm: rng.spread(50_000, 1_000_000) as u32,
        }
    }
}

impl Attacker<Pbft> for Mixed {
    fn say(&mut self, me: &mut Liar<'_, Pbft>, to: Target, message: Message, plot: &mut Plot) {
        if !me.rng.chance(self.ppm) {
            say_honestly(me, to, &message, plot);
            return;
        }
        // For most kinds of message one of these is the one that lies about it.
        let way = match message {
            Message::ViewChange(_) => 2,
            Message::NewView(_) => 3,
            Message::Checkpoint(_) => 4,
            Message::Decided(_) | Message::Body(_) => 5,
            Message::Welcome(_) => 7,
            Message::Replies(_) | Message::Answer(_) => 8,
            Message::PrePrepare(..) => *me.rng.pick(&[0, 1, 6]),
            _ => *me.rng.pick(&[0, 1, 2, 6]),
        };
        self.ways[way].say(me, to, message, plot);
    }

    fn hear(
        &mut self,
        me: &mut Liar<'_, Pbft>,
        from: NodeId,
        frame: &Bytes,
        plot: &mut Plot,
    ) -> bool {
        self.ways[0].hear(me, from, frame, plot)
    }
}
