//! Wills (MQTT 5 §3.1.2.5, §3.1.3.2).

use std::time::Duration;

use hedgerow_base::Time;

use super::{Broker, Outbox, SessionKey, timers::Timer};

impl Broker {
    /// The connection was lost without a normal DISCONNECT: the will is published after its delay, or when the
    /// session ends, whichever comes first.
    pub(super) fn schedule_will(&mut self, now: Time, key: SessionKey, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let Some(will) = &session.will else { return };
        if will.delay == 0 {
            self.publish_will(now, key, out);
        } else {
            let due = now.plus(Duration::from_secs(u64::from(will.delay)));
            session.will_due = Some(due);
            self.timers.set(due, Timer::Will(key));
        }
    }

    pub(super) fn on_will_due(&mut self, now: Time, key: SessionKey, out: &mut Outbox) {
        let due = |due: Time| due <= now;
        if self
            .sessions
            .get(&key)
            .is_some_and(|session| session.will_due.is_some_and(due))
        {
            self.publish_will(now, key, out);
        }
    }

    /// Publishes the will, if there is one; it is then gone ([MQTT-3.1.2-10]).
    pub(super) fn publish_will(&mut self, now: Time, key: SessionKey, out: &mut Outbox) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        session.will_due = None;
        let Some(will) = session.will.take() else {
            return;
        };
        let expires = will
            .expiry
            .map(|seconds| now.plus(Duration::from_secs(u64::from(seconds))));
        if self.authority.is_for_application(&will.message.topic) {
            self.hand_over(key, None, will.message, out);
        } else {
            self.route(now, Some(key), &will.message, expires, out);
        }
    }
}
