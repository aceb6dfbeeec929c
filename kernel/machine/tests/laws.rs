//! The laws of the gate and the outbox; those of machines are tested with each machine.

use hedgerow_base::{Lsn, NodeId};
use hedgerow_machine::{Effect, Gate, Outbox, Protocol, Target};

struct Toy;
impl Protocol for Toy {
    type Message = u8;
    type Command = ();
    type Event = ();
    type Record = u8;
    type Snapshot = ();
}

#[test]
fn nothing_leaves_before_its_position_is_durable_and_nothing_ungated_waits() {
    let mut gate = Gate::new(Lsn(3));
    assert_eq!(gate.pass(Lsn(5), "a"), None);
    assert_eq!(gate.pass(Lsn(4), "b"), None);
    assert_eq!(gate.pass(Lsn(5), "c"), None);
    assert_eq!(gate.pass(Lsn::ZERO, "ungated"), Some("ungated"));
    assert_eq!(
        gate.pass(Lsn(3), "durable already"),
        Some("durable already")
    );
    assert_eq!(gate.open(Lsn(4)).collect::<Vec<_>>(), ["b"]);
    assert_eq!(
        gate.open(Lsn(2)).count(),
        0,
        "durability does not run backwards"
    );
    assert_eq!(gate.durable(), Lsn(4));
    assert_eq!(gate.open(Lsn(9)).collect::<Vec<_>>(), ["a", "c"]);
    assert!(gate.is_empty());
}

#[test]
fn records_are_numbered_from_where_the_log_ends() {
    let mut out = Outbox::<Toy>::new(Lsn(7));
    assert_eq!(out.last(), Lsn(7));
    let lsn = out.persist(1);
    out.send_after(lsn, Target::Node(NodeId(2)), 9);
    assert_eq!(out.persist(2), Lsn(9));
    let effects: Vec<_> = out.drain().collect();
    assert!(matches!(
        effects[..],
        [
            Effect::Persist {
                lsn: Lsn(8),
                record: 1
            },
            Effect::Send {
                to: Target::Node(NodeId(2)),
                message: 9,
                after: Lsn(8)
            },
            Effect::Persist {
                lsn: Lsn(9),
                record: 2
            },
        ]
    ));
    assert!(out.is_empty());
    assert_eq!(out.last(), Lsn(9));
}
