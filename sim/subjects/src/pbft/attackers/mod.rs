//! Ways to misbehave that know PBFT's messages, one per file. A liar has its own keys only.

mod checkpoint;
mod client;
mod equivocate;
mod forged_request;
mod macs;
mod mixed;
mod new_view;
mod reply;
mod starve;
mod status;
mod transfer;
mod view_change;
mod welcome;

use hedgerow_base::NodeId;
use hedgerow_machine::Target;
use hedgerow_pbft::{Message, PrePrepare};
use hedgerow_world::{Attack, Liar, Plot, Role};

use super::Pbft;

/// All of them.
pub(super) fn all() -> Vec<Attack<Pbft>> {
    vec![
        Attack {
            name: "equivocate",
            role: Role::Replica,
            make: |rng| Box::new(equivocate::Equivocate::new(rng)),
        },
        Attack {
            name: "starve",
            role: Role::Replica,
            make: |rng| Box::new(starve::Starve::new(rng)),
        },
        Attack {
            name: "macs",
            role: Role::Any,
            make: |rng| Box::new(macs::Macs::new(rng)),
        },
        Attack {
            name: "view-change",
            role: Role::Replica,
            make: |rng| Box::new(view_change::LyingViewChange::new(rng)),
        },
        Attack {
            name: "new-view",
            role: Role::Replica,
            make: |rng| Box::new(new_view::LyingNewView::new(rng)),
        },
        Attack {
            name: "checkpoint",
            role: Role::Replica,
            make: |rng| Box::new(checkpoint::LyingCheckpoint::new(rng)),
        },
        Attack {
            name: "transfer",
            role: Role::Replica,
            make: |rng| Box::new(transfer::LyingTransfer::new(rng)),
        },
        Attack {
            name: "forged-request",
            role: Role::Replica,
            make: |rng| Box::new(forged_request::ForgedRequest::new(rng)),
        },
        Attack {
            name: "welcome",
            role: Role::Replica,
            make: |rng| Box::new(welcome::LyingWelcome::new(rng)),
        },
        Attack {
            name: "status",
            role: Role::Replica,
            make: |rng| Box::new(status::LyingStatus::new(rng)),
        },
        Attack {
            name: "reply",
            role: Role::Replica,
            make: |rng| Box::new(reply::LyingReply::new(rng)),
        },
        Attack {
            name: "mixed",
            role: Role::Replica,
            make: |rng| Box::new(mixed::Mixed::new(rng)),
        },
        Attack {
            name: "two-operations",
            role: Role::Client,
            make: |rng| Box::new(client::TwoOperations::new(rng)),
        },
    ]
}

/// Says `message` as an honest machine would.
fn say_honestly(me: &Liar<'_, Pbft>, to: Target, message: &Message, plot: &mut Plot) {
    let frame = me.codec.seal(message, to);
    for receiver in me.receivers(to) {
        plot.send(receiver, frame.clone());
    }
}

/// Says `message` to one member.
fn say_to(me: &Liar<'_, Pbft>, to: NodeId, message: &Message, plot: &mut Plot) {
    plot.send(to, me.codec.seal(message, Target::Node(to)));
}

/// The liar's own seal over an assignment.
fn assign(me: &Liar<'_, Pbft>, value: PrePrepare) -> hedgerow_crypto::Sealed<PrePrepare> {
    hedgerow_crypto::Sealed::new(value, hedgerow_crypto::Sealing::Authenticator, me.keyring)
}
