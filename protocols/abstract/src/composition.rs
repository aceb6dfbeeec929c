use core::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{NodeId, NodeSet, Roster};

/// The number of an instance: the first is 1. It stands for everything about the incarnation: its kind, its leader.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
)]
pub struct Instance(pub u64);

impl Instance {
    /// The first instance, which begins with an empty history.
    pub const FIRST: Self = Self(1);

    /// next(i): static switching goes to the next number (§3.3).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    const fn index(self) -> u64 {
        self.0.saturating_sub(1)
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which protocol an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No word between replicas; commits while nothing fails and nobody contends (§5.2).
    Quorum,
    /// A primary gives numbers; commits while nothing fails (§4.2).
    ZLight,
    /// Replicas pass batches on in a fixed order; commits while nothing fails, also under contention (§5.3).
    Chain,
    /// PBFT, for a number of requests that is fixed beforehand (§4.3).
    Backup,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::ZLight => "zlight",
            Self::Chain => "chain",
            Self::Backup => "backup",
        }
    }
}

/// Which kinds of instances follow one another, for ever: a fixed periodic table (§4.1, §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composition {
    name: &'static str,
    cycle: &'static [Kind],
    robust: bool,
}

impl Composition {
    /// ZLight, and Backup when it does not work out (§4).
    pub const AZYZZYVA: Self = Self {
        name: "azyzzyva",
        cycle: &[Kind::ZLight, Kind::Backup],
        robust: false,
    };
    /// The same cycle, by the name of its fast part.
    pub const ZLIGHT: Self = Self {
        name: "zlight",
        ..Self::AZYZZYVA
    };
    /// Quorum while clients come one by one, Chain when they contend, Backup when something fails (§5.1).
    pub const ALIPH: Self = Self {
        name: "aliph",
        cycle: &[Kind::Quorum, Kind::Chain, Kind::Backup],
        robust: false,
    };
    /// Aliph that leaves Quorum and Chain when they serve worse than Backup does, or pass a client over (§6.3). It
    /// begins with a Backup, which shows what to expect.
    pub const R_ALIPH: Self = Self {
        name: "r-aliph",
        cycle: &[Kind::Backup, Kind::Quorum, Kind::Chain],
        robust: true,
    };
    /// Chain with Backup alone.
    pub const CHAIN: Self = Self {
        name: "chain",
        cycle: &[Kind::Chain, Kind::Backup],
        robust: false,
    };
    /// Quorum with Backup alone.
    pub const QUORUM: Self = Self {
        name: "quorum",
        cycle: &[Kind::Quorum, Kind::Backup],
        robust: false,
    };
    /// One Backup after the other.
    pub const BACKUP: Self = Self {
        name: "backup",
        cycle: &[Kind::Backup],
        robust: false,
    };
    /// All compositions.
    pub const ALL: &'static [Self] = &[
        Self::ALIPH,
        Self::AZYZZYVA,
        Self::BACKUP,
        Self::CHAIN,
        Self::QUORUM,
        Self::R_ALIPH,
        Self::ZLIGHT,
    ];

    /// The composition of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|one| one.name == name).copied()
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What `instance` runs.
    #[must_use]
    pub fn kind(self, instance: Instance) -> Kind {
        let length = self.cycle.len().max(1) as u64;
        let place = (instance.index() % length) as usize;
        self.cycle.get(place).copied().unwrap_or(Kind::Backup)
    }

    /// Whether clients tell the replicas how they are served, and replicas leave an instance that serves badly (§6.3).
    #[must_use]
    pub const fn is_robust(self) -> bool {
        self.robust
    }

    /// Whether it ever runs that.
    #[must_use]
    pub fn has(self, kind: Kind) -> bool {
        self.cycle.contains(&kind)
    }

    /// How often the whole cycle was gone through before `instance`.
    #[must_use]
    pub const fn round(self, instance: Instance) -> u64 {
        instance.index() / self.cycle.len() as u64
    }

    /// The replica with a part of its own in `instance`: ZLight's primary, Chain's head, and whoever proposes checkpoints and begins
    /// the instance. Another one in each round, so that a faulty one does not stay.
    #[must_use]
    pub fn leader(self, instance: Instance, roster: Roster) -> NodeId {
        NodeId((self.round(instance) % roster.n() as u64) as u32)
    }

    /// Where `replica` stands in a Chain, the head at 0.
    #[must_use]
    pub fn position(self, instance: Instance, roster: Roster, replica: NodeId) -> usize {
        let head = self.leader(instance, roster).index();
        (replica.index() + roster.n() - head) % roster.n()
    }

    /// Who stands at a position of a Chain; nobody after the tail.
    #[must_use]
    pub fn at(self, instance: Instance, roster: Roster, position: usize) -> Option<NodeId> {
        let head = self.leader(instance, roster).index();
        let node = NodeId(((head + position) % roster.n()) as u32);
        (position < roster.n()).then_some(node)
    }

    /// The last f + 1 of a Chain: who executes before passing on, and vouches to the clients (§5.3).
    #[must_use]
    pub fn suffix(self, instance: Instance, roster: Roster) -> NodeSet {
        let last = roster.n() - roster.weak()..roster.n();
        last.filter_map(|position| self.at(instance, roster, position))
            .collect()
    }

    /// k: how many requests `instance` commits before it aborts, where it is a Backup. It doubles from round to round,
    /// so that a slow client gets its turn beside a fast one, and starts over now and then, so that a fault that is
    /// over does not keep the faster instances out for long (§4.4). The first commits `least`.
    #[must_use]
    pub const fn quota(self, instance: Instance, least: u64) -> u64 {
        /// After how many rounds it starts over.
        const ROUNDS: u64 = 16;
        /// 2 to this power is the most.
        const MOST: u64 = 11;
        let doublings = self.round(instance) % ROUNDS;
        least.saturating_mul(1 << (if doublings < MOST { doublings } else { MOST }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_periodic_and_the_leader_moves_once_a_round() {
        let roster = Roster::new(4).unwrap();
        let aliph = Composition::AZYZZYVA;
        let kinds: alloc::vec::Vec<_> = (1..=4).map(|i| aliph.kind(Instance(i))).collect();
        assert_eq!(
            kinds,
            [Kind::ZLight, Kind::Backup, Kind::ZLight, Kind::Backup]
        );
        let leaders: alloc::vec::Vec<_> = (1..=10)
            .map(|i| aliph.leader(Instance(i), roster).0)
            .collect();
        assert_eq!(leaders, [0, 0, 1, 1, 2, 2, 3, 3, 0, 0]);
    }

    #[test]
    fn the_quota_doubles_is_bounded_and_starts_over() {
        let quotas: alloc::vec::Vec<_> = (0..34)
            .map(|round| Composition::BACKUP.quota(Instance(round + 1), 1))
            .collect();
        assert_eq!(&quotas[..4], [1, 2, 4, 8]);
        assert_eq!(quotas[15], 2048);
        assert_eq!(quotas[16], 1);
        assert_eq!(Composition::R_ALIPH.quota(Instance(4), 512), 1024);
    }
}
