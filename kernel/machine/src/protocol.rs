use core::fmt::Debug;

use hedgerow_base::Time;

use crate::{Input, Outbox};

/// What the participants of a protocol say: to each other, to their application, to their disk.
pub trait Protocol: Sized + 'static {
    /// What goes between participants, once it has been admitted. Cheap to clone.
    type Message: Clone + Debug + Send + 'static;
    /// What the application asks of its participant.
    type Command: Debug + Send + 'static;
    /// What a participant tells its application.
    type Event: Debug + Send + 'static;
    /// What a participant writes into its log.
    type Record: Debug + Send + 'static;
    /// What a participant shows of itself to operators. Cheap to make.
    type Snapshot: Clone + Debug + Send + 'static;
}

/// A participant. Pure and single-threaded: no clock, no disk, no socket, no randomness but what it was built with.
pub trait Machine<P: Protocol>: Send {
    /// Takes one input: updates the state, queues effects.
    fn step(&mut self, now: Time, input: Input<P>, out: &mut Outbox<P>);

    /// Called once after each burst of inputs: cut batches, merge acknowledgements. Batches follow the load this way,
    /// with no timer to tune.
    fn settle(&mut self, now: Time, out: &mut Outbox<P>);

    /// When this machine next wants [`Input::Deadline`], if ever. `None` when idle: an idle network does nothing.
    fn deadline(&self) -> Option<Time>;

    /// How many commands of the application it will take now. At 0 the driver stops taking them in.
    fn credit(&self) -> usize;

    /// What an operator should know.
    fn snapshot(&self) -> P::Snapshot;
}
