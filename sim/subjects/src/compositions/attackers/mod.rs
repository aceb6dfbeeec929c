//! Ways to misbehave that know Abstract's messages, one per file. A liar has its own keys only. What a Backup's protocol
//! says is lied about by that protocol's own liars ([`inner`]).

mod abort;
mod checkpoint;
mod contention;
mod feedback;
mod fetch;
mod init;
mod inner;
mod link;
mod macs;
mod mixed;
mod panic;
mod primary;
mod response;
mod slow;
mod two_commands;
mod welcome;

use std::sync::Arc;

use hedgerow_abstract::{Abort, Instance, Message, Point};
use hedgerow_base::{Digest, NodeId, Slot};
use hedgerow_crypto::{Checks, Sealed, Sealing};
use hedgerow_machine::Target;
use hedgerow_wire::List;
use hedgerow_world::{Attack, Liar, Plot, Rng, Role};

use super::Composed;

/// All of them.
pub(super) fn all() -> Vec<Attack<Composed>> {
    vec![
        Attack {
            name: "abort",
            role: Role::Replica,
            make: |rng| Box::new(abort::LyingAbort::new(rng)),
        },
        Attack {
            name: "response",
            role: Role::Replica,
            make: |rng| Box::new(response::LyingResponse::new(rng)),
        },
        Attack {
            name: "macs",
            role: Role::Any,
            make: |rng| Box::new(macs::Macs::new(rng)),
        },
        Attack {
            name: "two-commands",
            role: Role::Client,
            make: |rng| Box::new(two_commands::TwoCommands::new(rng)),
        },
        Attack {
            name: "contention",
            role: Role::Client,
            make: |rng| Box::new(contention::Contention::new(rng)),
        },
        Attack {
            name: "init",
            role: Role::Any,
            make: |rng| Box::new(init::ForgedInit::new(rng)),
        },
        Attack {
            name: "panic",
            role: Role::Any,
            make: |rng| Box::new(panic::Panicker::new(rng)),
        },
        Attack {
            name: "primary",
            role: Role::Replica,
            make: |rng| Box::new(primary::LyingPrimary::new(rng)),
        },
        Attack {
            name: "checkpoint",
            role: Role::Replica,
            make: |rng| Box::new(checkpoint::LyingCheckpoint::new(rng)),
        },
        Attack {
            name: "fetch",
            role: Role::Replica,
            make: |rng| Box::new(fetch::LyingFetch::new(rng)),
        },
        Attack {
            name: "welcome",
            role: Role::Replica,
            make: |rng| Box::new(welcome::LyingWelcome::new(rng)),
        },
        Attack {
            name: "mixed",
            role: Role::Replica,
            make: |rng| Box::new(mixed::Mixed::new(rng)),
        },
        Attack {
            name: "in-backup",
            role: Role::Replica,
            make: |rng| Box::new(inner::InBackup::new(rng, Role::Replica)),
        },
        Attack {
            name: "link",
            role: Role::Replica,
            make: |rng| Box::new(link::LyingLink::new(rng)),
        },
        Attack {
            name: "slow",
            role: Role::Replica,
            make: |rng| Box::new(slow::Slow::new(rng)),
        },
        Attack {
            name: "feedback",
            role: Role::Client,
            make: |rng| Box::new(feedback::LyingFeedback::new(rng)),
        },
        Attack {
            name: "in-backup-client",
            role: Role::Client,
            make: |rng| Box::new(inner::InBackup::new(rng, Role::Client)),
        },
    ]
}

/// Says `message` as an honest machine would.
fn say_honestly(me: &Liar<'_, Composed>, to: Target, message: &Message, plot: &mut Plot) {
    let frame = me.codec.seal(message, to);
    for receiver in me.receivers(to) {
        plot.send(receiver, frame.clone());
    }
}

/// Says `message` to one member.
fn say_to(me: &Liar<'_, Composed>, to: NodeId, message: &Message, plot: &mut Plot) {
    plot.send(to, me.codec.seal(message, Target::Node(to)));
}

/// A digest of nothing, one of few, so that liars may agree.
fn made_up(rng: &mut Rng) -> Digest {
    Digest([1 + rng.below(3) as u8; 32])
}

/// A place in a history that nobody has.
fn made_up_point(rng: &mut Rng, near: Slot) -> Point {
    match rng.below(4) {
        0 => Point::default(),
        1 => Point {
            slot: Slot(u64::MAX - rng.below(2)),
            chain: made_up(rng),
        },
        2 => Point {
            slot: near.plus(rng.spread(1, 1_000)),
            chain: made_up(rng),
        },
        _ => Point {
            slot: Slot(rng.below(near.0.saturating_add(1))),
            chain: made_up(rng),
        },
    }
}

/// An ABORT under the liar's own signature.
fn signed_abort(
    me: &Liar<'_, Composed>,
    instance: Instance,
    base: Point,
    suffix: Vec<Digest>,
) -> Sealed<Abort> {
    let abort = Abort {
        instance,
        base,
        low_load: me.keyring.me().0.is_multiple_of(2),
        suffix: List::new(suffix).unwrap_or_default(),
    };
    Sealed::new(abort, Sealing::Signature, me.keyring)
}

/// The newest instance that a liar has heard or spoken of, so that its lies are of the present. Far jumps are others' lies.
fn keep_up(newest: &mut Instance, message: &Message) {
    if let Some(instance) = instance_of(message)
        && instance.0 <= newest.0 + 4
    {
        *newest = (*newest).max(instance);
    }
}

/// Which instance the network is in, as far as this message tells.
fn instance_of(message: &Message) -> Option<Instance> {
    Some(match message {
        Message::Requests(instance, _)
        | Message::Status(instance)
        | Message::Backup(instance, _) => *instance,
        Message::Order(order, _) => order.value().instance,
        Message::Responses(said) => said.value().instance,
        Message::Panic(said) => said.value().instance,
        Message::Feedback(said) => said.value().instance,
        Message::Abort(said) => said.value().instance,
        Message::Checkpoint(said) => said.value().instance,
        Message::Chain(chained) => chained.links.last()?.value().instance,
        Message::ChainReply(reply) => reply.vouched.last()?.value().instance,
        Message::Init(init) => init.instance,
        Message::Welcome(welcome) => welcome.instance,
        Message::Fetch(_) | Message::Fetched(_) | Message::Hello(_) => return None,
    })
}

/// A frame that came in, opened.
fn open(me: &Liar<'_, Composed>, from: NodeId, frame: &bytes::Bytes) -> Option<Message> {
    me.codec.admit(from, frame, &mut Checks::default()).ok()
}

/// Anyone: a replica or a client.
fn anyone(me: &mut Liar<'_, Composed>) -> NodeId {
    NodeId(me.rng.below(me.keyring.members() as u64) as u32)
}

/// The keys of a Backup.
fn scoped(me: &Liar<'_, Composed>, instance: Instance) -> Arc<hedgerow_crypto::Keyring> {
    Arc::new(me.keyring.scoped(instance.0))
}
