use hedgerow_kv::{KvStore, StoreError};
use hedgerow_records::Subject;
use hedgerow_streams::{motions, standing, subjects};
use hedgerow_wire::List;

use crate::{Answer, Ledger, MAX_PAGE, MotionSummary, RolesSummary, SubjectSummary};

impl<S: KvStore> Ledger<S> {
    /// Who has roles in the stable state, and what is moved.
    pub(crate) fn roles_summary(
        &self,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Answer, StoreError> {
        let state = &self.stable.state;
        let limit = (limit as usize).min(MAX_PAGE);
        let found = subjects(self.store(), after, limit)?.into_iter();
        let found = found.map(|(subject, roles)| SubjectSummary { subject, roles });
        let genesis = self.genesis().digest();
        let open = motions(state).into_iter().map(|open| MotionSummary {
            id: open.motion.id(&genesis),
            motion: open.motion,
            now: standing(state, open.motion.subject).0,
            voters: open.voters,
        });
        Ok(Answer::Roles(RolesSummary {
            subjects: List::new(found.collect()).unwrap_or_default(),
            // There are never more: see the bound.
            motions: List::new(open.collect()).unwrap_or_default(),
            needed: self.genesis().role_votes(),
        }))
    }
}
