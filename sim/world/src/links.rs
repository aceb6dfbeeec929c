use hedgerow_base::{NodeId, NodeSet};

use crate::{LinkPlan, Rng, Weather};

/// The network between the nodes: who can reach whom, how fast, and what gets lost on the way.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    plan: LinkPlan,
    members: usize,
    /// One-way time per pair.
    distance: Vec<u64>,
    /// When each node's network card has sent what it was given.
    egress_free: Vec<u64>,
    /// When it has received what has reached it.
    ingress_free: Vec<u64>,
    /// Per pair: when the last frame arrived, in orderly links.
    last: Vec<u64>,
    /// Per sender: the receivers that it can't reach.
    cut: Vec<NodeSet>,
    slow: Vec<u64>,
    weather: Weather,
    healed: NodeSet,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
}

/// What a network card holds before it drops what comes, in time to send it.
const BACKLOG_NS: u64 = 2_000_000_000;

impl Links {
    pub(crate) fn new(plan: &LinkPlan, members: usize, rng: &mut Rng) -> Self {
        let distance = (0..members * members)
            .map(|_| plan.near_ns + rng.below(plan.far_ns.saturating_sub(plan.near_ns) + 1))
            .collect();
        Self {
            plan: plan.clone(),
            members,
            distance,
            egress_free: vec![0; members],
            ingress_free: vec![0; members],
            last: vec![0; if plan.orderly { members * members } else { 0 }],
            cut: vec![NodeSet::EMPTY; members],
            slow: vec![0; members],
            weather: Weather::default(),
            healed: NodeSet::EMPTY,
            bytes: 0,
            frames: 0,
        }
    }

    /// When a frame that leaves at `now` arrives; twice, once, or never.
    pub(crate) fn route(
        &mut self,
        now: u64,
        from: NodeId,
        to: NodeId,
        bytes: usize,
        rng: &mut Rng,
    ) -> [Option<u64>; 2] {
        if from == to {
            return [Some(now + 1_000), None];
        }
        self.bytes += bytes as u64;
        self.frames += 1;
        let (i, j) = (from.index(), to.index());
        let free = self.egress_free[i].max(now);
        if free - now > BACKLOG_NS {
            return [None, None];
        }
        let sent = free + self.wire_ns(bytes);
        self.egress_free[i] = sent;
        let base = self.distance[i * self.members + j];
        if self.healed.contains(from) && self.healed.contains(to) {
            let at = sent + base + rng.below(self.plan.jitter_ns + 1);
            return self.in_order(i, j, [Some(at), None]);
        }
        let (plan, weather) = (&self.plan, &self.weather);
        if self.cut[i].contains(to) || rng.chance(plan.loss_ppm + weather.loss_ppm) {
            return [None, None];
        }
        let copies = 1 + usize::from(rng.chance(plan.duplicate_ppm + weather.duplicate_ppm));
        let mut arrivals = [None, None];
        for arrival in arrivals.iter_mut().take(copies) {
            let mut at = sent + base + weather.extra_ns + self.slow[i] + self.slow[j];
            at += rng.below(plan.jitter_ns + 1);
            if rng.chance(plan.reorder_ppm + weather.reorder_ppm) {
                at += rng.below(20 * (base + plan.jitter_ns) + 1);
            }
            *arrival = Some(at);
        }
        self.in_order(i, j, arrivals)
    }

    /// How long a frame takes a network card. 78 bytes: Ethernet, IP and TCP around it.
    fn wire_ns(&self, bytes: usize) -> u64 {
        (bytes as u64 + 78) * 1_000_000_000 / self.plan.bytes_per_s
    }

    /// What is sent later arrives later, in orderly links.
    fn in_order(&mut self, i: usize, j: usize, mut arrivals: [Option<u64>; 2]) -> [Option<u64>; 2] {
        if let Some(last) = self.last.get_mut(i * self.members + j) {
            for arrival in arrivals.iter_mut().flatten() {
                *last = (*last + 1).max(*arrival);
                *arrival = *last;
            }
        }
        arrivals
    }

    /// The last byte of a frame has reached `to`'s network card: when it is in, behind what came before it.
    pub(crate) fn land(&mut self, now: u64, to: NodeId, bytes: usize) -> u64 {
        if !self.plan.orderly {
            return now;
        }
        let takes = self.wire_ns(bytes);
        let free = &mut self.ingress_free[to.index()];
        *free = (*free + takes).max(now);
        *free
    }

    /// Nobody in `one` reaches anybody outside it; nor the other way, unless the cut is one-way.
    pub(crate) fn separate(&mut self, one: NodeSet, both_ways: bool) {
        for from in 0..self.members as u32 {
            for to in 0..self.members as u32 {
                let (inside, outside) = (one.contains(NodeId(from)), !one.contains(NodeId(to)));
                if (inside && outside) || (both_ways && !inside && !outside) {
                    self.cut[from as usize].insert(NodeId(to));
                }
            }
        }
    }

    /// Whether nothing that `from` sends reaches `to`.
    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        let good = self.healed.contains(from) && self.healed.contains(to);
        !good && self.cut[from.index()].contains(to)
    }

    pub(crate) fn join_all(&mut self) {
        self.cut.fill(NodeSet::EMPTY);
    }

    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    pub(crate) fn set_slow(&mut self, node: NodeId, extra_ns: u64) {
        self.slow[node.index()] = extra_ns;
    }

    /// From now on the links among these are good whatever the weather.
    pub(crate) fn heal(&mut self, among: NodeSet) {
        self.healed = among;
    }
}
