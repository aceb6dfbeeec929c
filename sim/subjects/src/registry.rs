use hedgerow_world::Subject;

use hedgerow_abstract::Composition;

use crate::{Changing, Composed, Pbft, sequencer::Sequencer};

/// The names of the protocols that can be simulated.
pub const PROTOCOLS: &[&str] = &[
    "pbft",
    "aliph",
    "azyzzyva",
    "backup",
    "chain",
    "quorum",
    "r-aliph",
    "zlight",
    "changing",
    "sequencer",
];

/// No protocol has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no protocol is called {name:?}: there are {}", PROTOCOLS.join(", "))]
pub struct UnknownProtocol {
    /// The name.
    pub name: String,
}

/// What is done with a subject, whichever it is.
pub(crate) trait Visitor {
    type Result;
    fn visit<S: Subject>(self, subject: &S) -> Self::Result;
}

/// Finds the subject by its name.
pub(crate) fn with<V: Visitor>(name: &str, visitor: V) -> Result<V::Result, UnknownProtocol> {
    match name {
        "pbft" => Ok(visitor.visit(&Pbft)),
        "changing" => Ok(visitor.visit(&Changing)),
        "sequencer" => Ok(visitor.visit(&Sequencer::default())),
        _ => match Composition::named(name) {
            Some(composition) => Ok(visitor.visit(&Composed(composition))),
            None => Err(UnknownProtocol {
                name: name.to_owned(),
            }),
        },
    }
}
