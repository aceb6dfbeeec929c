use std::collections::BTreeMap;

use super::{SessionKey, topic::Filter};
use crate::codec::Qos;

/// One subscription of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscription {
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) identifier: Option<u32>,
}

/// How one session gets one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) qos: Qos,
    pub(super) retain_as_published: bool,
    pub(super) identifiers: Vec<u32>,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<SessionKey, Subscription>,
    /// Who got the last message; the next one after it gets the next.
    last: SessionKey,
}

#[derive(Debug, Default)]
struct Node {
    children: BTreeMap<Box<str>, Self>,
    direct: BTreeMap<SessionKey, Subscription>,
    shared: BTreeMap<Box<str>, Group>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.direct.is_empty() && self.shared.is_empty()
    }
}

/// All subscriptions, as a tree of topic levels, so that a message meets only the ones that can match.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    root: Node,
}

impl Subscriptions {
    /// Adds or replaces a subscription ([MQTT-3.8.4-3]); says whether there was none.
    pub(super) fn insert(
        &mut self,
        filter: Filter<'_>,
        session: SessionKey,
        subscription: Subscription,
    ) -> bool {
        let mut node = &mut self.root;
        for level in filter.pattern.split('/') {
            node = node.children.entry(level.into()).or_default();
        }
        let members = match filter.share {
            None => &mut node.direct,
            Some(name) => &mut node.shared.entry(name.into()).or_default().members,
        };
        members.insert(session, subscription).is_none()
    }

    /// Takes a subscription out; says whether there was one.
    pub(super) fn remove(&mut self, filter: Filter<'_>, session: SessionKey) -> bool {
        fn go(
            node: &mut Node,
            levels: &mut std::str::Split<'_, char>,
            share: Option<&str>,
            session: SessionKey,
        ) -> bool {
            let Some(level) = levels.next() else {
                return match share {
                    None => node.direct.remove(&session).is_some(),
                    Some(name) => {
                        let Some(group) = node.shared.get_mut(name) else {
                            return false;
                        };
                        let there = group.members.remove(&session).is_some();
                        if group.members.is_empty() {
                            node.shared.remove(name);
                        }
                        there
                    }
                };
            };
            let Some(child) = node.children.get_mut(level) else {
                return false;
            };
            let there = go(child, levels, share, session);
            if child.is_empty() {
                node.children.remove(level);
            }
            there
        }
        go(
            &mut self.root,
            &mut filter.pattern.split('/'),
            filter.share,
            session,
        )
    }

    /// Whether any subscription matches.
    pub(super) fn any(&self, topic: &str) -> bool {
        fn go(node: &Node, levels: &[&str], dollar: bool) -> bool {
            if !dollar && node.children.contains_key("#") {
                return true;
            }
            let Some((level, rest)) = levels.split_first() else {
                return !node.direct.is_empty() || !node.shared.is_empty();
            };
            node.children
                .get(*level)
                .is_some_and(|child| go(child, rest, false))
                || (!dollar
                    && node
                        .children
                        .get("+")
                        .is_some_and(|child| go(child, rest, false)))
        }
        let levels: Vec<&str> = topic.split('/').collect();
        go(&self.root, &levels, topic.starts_with('$'))
    }

    /// Who gets a message to `topic` from `origin`, each once ([MQTT-3.3.4-2]: with the greatest QoS of its
    /// subscriptions), and each share once to one of its members, a connected one if there is any (§4.8.2).
    pub(super) fn matching(
        &mut self,
        topic: &str,
        origin: Option<SessionKey>,
        online: impl Fn(SessionKey) -> bool,
    ) -> Vec<(SessionKey, Delivery)> {
        let mut direct: BTreeMap<SessionKey, Delivery> = BTreeMap::new();
        let mut shared = Vec::new();
        let levels: Vec<&str> = topic.split('/').collect();
        walk(
            &mut self.root,
            &levels,
            topic.starts_with('$'),
            &mut |node| {
                for (&session, subscription) in &node.direct {
                    if subscription.no_local && origin == Some(session) {
                        continue; // [MQTT-3.8.3-3]
                    }
                    let delivery = direct.entry(session).or_insert_with(|| Delivery {
                        qos: Qos::AtMostOnce,
                        retain_as_published: false,
                        identifiers: Vec::new(),
                    });
                    delivery.qos = delivery.qos.max(subscription.qos);
                    delivery.retain_as_published |= subscription.retain_as_published;
                    delivery.identifiers.extend(subscription.identifier);
                }
                for group in node.shared.values_mut() {
                    let after = group.members.range(group.last.next()..);
                    let before = group.members.range(..group.last.next());
                    let mut turns = after.chain(before);
                    let chosen = turns
                        .clone()
                        .find(|(session, _)| online(**session))
                        .or_else(|| turns.next());
                    if let Some((&session, subscription)) = chosen {
                        group.last = session;
                        shared.push((
                            session,
                            Delivery {
                                qos: subscription.qos,
                                retain_as_published: subscription.retain_as_published,
                                identifiers: subscription.identifier.into_iter().collect(),
                            },
                        ));
                    }
                }
            },
        );
        direct.into_iter().chain(shared).collect()
    }
}

fn walk(node: &mut Node, levels: &[&str], dollar: bool, visit: &mut impl FnMut(&mut Node)) {
    if !dollar && let Some(all) = node.children.get_mut("#") {
        visit(all);
    }
    let Some((level, rest)) = levels.split_first() else {
        visit(node);
        return;
    };
    if let Some(child) = node.children.get_mut(*level) {
        walk(child, rest, false, visit);
    }
    if !dollar && let Some(child) = node.children.get_mut("+") {
        walk(child, rest, false, visit);
    }
}
