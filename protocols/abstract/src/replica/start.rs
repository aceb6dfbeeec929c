//! Starting: a replica first asks the others where they are. Its disk may be an old copy, or new: then an earlier life of
//! it may have said more in the present instance than it knows. So it takes no part in that one, and the others go on to
//! the next. (A Backup has its own way to come back: PBFT's.)

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use hedgerow_base::{NodeId, Slot, Time};
use hedgerow_machine::Target;

use super::{Out, Replica, Stage, switching::Cause};
use crate::{
    composition::{Instance, Kind},
    messages::{Message, Welcome},
    record::Record,
};

#[derive(Debug, Default)]
pub(super) struct Start {
    asking: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    nonce: Option<u64>,
    due: Time,
    welcomes: BTreeMap<NodeId, Arc<Welcome>>,
    /// Whether the log was empty.
    blank: bool,
    /// Whether the disk is not lost, although it may be an older copy.
    kept: bool,
}

impl Start {
    pub(super) const fn asking(blank: bool, kept: bool) -> Self {
        Self {
            asking: Some(Asking {
                nonce: None,
                due: Time::ZERO,
                welcomes: BTreeMap::new(),
                blank,
                kept,
            }),
        }
    }

    pub(super) const fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Asks at once when a connection with one that has not answered stands: the question may have been lost.
    pub(super) fn on_link(&mut self, peer: NodeId, now: Time) {
        if let Some(asking) = &mut self.asking
            && !asking.welcomes.contains_key(&peer)
        {
            asking.due = asking.due.min(now);
        }
    }

    pub(super) fn due(&self) -> Option<Time> {
        self.asking.as_ref().map(|asking| asking.due)
    }
}

impl Replica {
    /// Asks, again until enough have answered. The clock makes the question new: it does not run backwards.
    pub(super) fn ask(&mut self, out: &mut Out) {
        let (now, retry) = (self.now, self.config.retry);
        let Some(asking) = &mut self.start.asking else {
            return;
        };
        if asking.due <= now {
            let nonce = *asking.nonce.get_or_insert(now.0);
            asking.due = now.plus(retry);
            out.send(Target::Others, Message::Hello(nonce));
            self.try_start(out);
        }
    }

    pub(super) fn on_hello(&mut self, from: NodeId, nonce: u64, out: &mut Out) {
        let welcome = Welcome {
            nonce,
            instance: self.instance,
            head: self.history.head().slot,
            init: self.init.clone(),
        };
        let message = Message::Welcome(Arc::new(welcome));
        out.send_after(out.last(), Target::Node(from), message);
    }

    pub(super) fn on_welcome(&mut self, from: NodeId, welcome: &Arc<Welcome>, out: &mut Out) {
        if let Some(asking) = &mut self.start.asking
            && asking.nonce == Some(welcome.nonce)
        {
            // The first answer: later ones tell of what was logged since this life began.
            let welcomes = &mut asking.welcomes;
            welcomes.entry(from).or_insert_with(|| welcome.clone());
            self.try_start(out);
        }
    }

    /// Of 2f others that answer, f + 1 are correct (this replica counts among the f if it forgot): an instance in which
    /// anything was committed with its help has begun at all correct ones, so the (f + 1)-highest number is not below it.
    fn try_start(&mut self, out: &mut Out) {
        let enough = self.roster.quorum() - 1;
        let Some(asking) = self
            .start
            .asking
            .take_if(|asking| asking.welcomes.len() >= enough)
        else {
            return;
        };
        let mut instances: Vec<_> = asking.welcomes.values().map(|w| w.instance).collect();
        instances.sort_unstable_by(|a, b| b.cmp(a));
        let vouched = instances.get(self.roster.f()).copied();
        let vouched = vouched.unwrap_or(Instance::FIRST);
        // Had it lost its disk, at most f - 1 of the others would be faulty: f that have nothing tell the truth. And if
        // it had not, f liars among the 2f can't make it believe so.
        let first = asking
            .welcomes
            .values()
            .filter(|w| w.head == Slot::ZERO && w.instance == Instance::FIRST);
        let nothing_yet = asking.blank && first.count() >= self.roster.f();
        if !nothing_yet {
            self.silent = self.silent.max(vouched).max(self.instance);
            if !asking.kept {
                self.mute = self.silent;
            }
        }
        // Also where nothing is forgotten: at the next start its disk is not blank.
        out.persist(Record::Silent {
            below: self.silent,
            mute: self.mute,
        });
        let mut inits: Vec<_> = asking
            .welcomes
            .values()
            .filter_map(|w| w.init.clone())
            .collect();
        inits.sort_unstable_by_key(|init| core::cmp::Reverse(init.instance));
        for init in inits {
            self.on_init(&init, out);
        }
        if self.instance <= self.silent
            && self.kind() != Kind::Backup
            && self.stage == Stage::Active
        {
            self.stop(Cause::Restart, out);
        }
    }
}
