//! A run as a list of lines, and what a checker says of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId, NodeSet, Slot};
use hedgerow_ordering::{Batch, Operation};
use hedgerow_world::{Checker, Observation, SECOND, reply_at};

/// The client of all operations.
const CLIENT: NodeId = NodeId(4);

/// One line of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// A replica starts with so many slots.
    Start(u32, u64),
    /// A replica's disk is lost.
    Lose(u32),
    /// The client invokes the operation of that name.
    Invoke(char),
    /// The client asks how many there are; the question has a name, too.
    Ask(char),
    /// A replica executes, in a slot, operations of these names.
    Give(u32, u64, &'static str),
    /// A replica calls the slot final, with what it executed there last.
    Final(u32, u64),
    /// A replica calls the slot final with other operations.
    Call(u32, u64, &'static str),
    /// A replica rolls back to a slot.
    Back(u32, u64),
    /// A replica's state after a slot.
    State(u32, u64, u8),
    /// The client is told a position.
    Answer(char, u64),
    /// Seconds pass.
    Pass(u64),
    /// Replicas 0, 1 and 2 are healed.
    Heal,
    /// The run ends; all is answered.
    End,
}

pub(crate) use Line::{
    Answer, Ask, Back, Call, End, Final, Give, Heal, Invoke, Lose, Pass, Start, State,
};

fn batch(slot: u64, names: &str) -> Batch {
    let operation = |name: char| Operation {
        client: CLIENT,
        // As a client numbers them: each once.
        number: u64::from(u32::from(name)),
        operation: Bytes::from(name.to_string()),
    };
    Batch {
        slot: Slot(slot),
        time_ms: 0,
        operations: names.chars().map(operation).collect::<Vec<_>>().into(),
    }
}

fn core() -> NodeSet {
    [NodeId(0), NodeId(1), NodeId(2)].into_iter().collect()
}

/// What a checker has against a run: the number of the line, from 0, and what is wrong with it.
pub(crate) fn judge(mut checker: impl Checker, run: &[Line]) -> Option<(usize, String)> {
    let mut executed: BTreeMap<(u32, u64), Batch> = BTreeMap::new();
    let mut at = 0;
    for (number, line) in run.iter().enumerate() {
        if let End = line {
            // Long after everything else: what is still missing then is missing.
            at += 60 * SECOND;
        }
        let mut hear = |observation: &Observation<'_>| checker.observe(at, observation).err();
        let wrong = match *line {
            Start(node, slot) => hear(&Observation::Started {
                node: NodeId(node),
                executed: Slot(slot),
            }),
            Lose(node) => hear(&Observation::LostMemory { node: NodeId(node) }),
            Invoke(name) => hear(&Observation::Invoked {
                client: CLIENT,
                ticket: u64::from(u32::from(name)),
                operation: &Bytes::from(name.to_string()),
            }),
            Ask(name) => hear(&Observation::Asked {
                client: CLIENT,
                ticket: u64::from(u32::from(name)),
                query: &Bytes::from(format!("length?{name}")),
            }),
            Give(node, slot, names) => {
                let batch = batch(slot, names);
                executed.insert((node, slot), batch.clone());
                hear(&Observation::Speculated {
                    node: NodeId(node),
                    batch: &batch,
                })
            }
            Final(node, slot) => hear(&Observation::Decided {
                node: NodeId(node),
                batch: &executed[&(node, slot)],
            }),
            Call(node, slot, names) => hear(&Observation::Decided {
                node: NodeId(node),
                batch: &batch(slot, names),
            }),
            Back(node, slot) => hear(&Observation::RolledBack {
                node: NodeId(node),
                slot: Slot(slot),
            }),
            State(node, slot, state) => hear(&Observation::Executed {
                node: NodeId(node),
                slot: Slot(slot),
                state: Digest([state; 32]),
            }),
            Answer(name, position) => hear(&Observation::Completed {
                client: CLIENT,
                ticket: u64::from(u32::from(name)),
                reply: &reply_at(position, 8),
            }),
            Pass(seconds) => {
                at += seconds * SECOND;
                None
            }
            Heal => hear(&Observation::Healed { core: core() }),
            End => hear(&Observation::Ended {
                core: core(),
                waiting_since: None,
            }),
        };
        if let Some(wrong) = wrong {
            return Some((number, wrong));
        }
    }
    None
}

/// The checker has nothing against the run.
#[track_caller]
pub(crate) fn passes(checker: impl Checker, run: &[Line]) {
    assert_eq!(judge(checker, run), None);
}

/// The checker objects to the run's last line, and to none before, with a sentence that has these words.
#[track_caller]
pub(crate) fn fails(checker: impl Checker, run: &[Line], words: &str) {
    let Some((line, wrong)) = judge(checker, run) else {
        panic!("nothing was found");
    };
    assert_eq!(line, run.len() - 1, "too early: {wrong}");
    assert!(wrong.contains(words), "{wrong}");
}
