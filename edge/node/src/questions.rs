//! Answers other members' questions to the ledger, on threads of their own: a long call of a contract holds neither
//! signatures nor the ordering protocol back, nor those who only look something up. Members are answered in turns.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    ops::Bound,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use hedgerow_base::{Height, NodeId};
use hedgerow_chain::{Answer, Query};
use hedgerow_kv::{KvStore, StoreError};

use crate::executor::Shared;

/// A question.
#[derive(Debug)]
pub(crate) struct Question {
    /// Whose it is.
    pub(crate) from: NodeId,
    /// Its own number for it.
    pub(crate) number: u64,
    /// It is to be answered from a newest block at this height at least.
    pub(crate) least: Height,
    /// What it is; `None` where the bytes are none.
    pub(crate) query: Option<Query>,
}

#[derive(Debug, Default)]
struct Waiting {
    questions: BTreeMap<NodeId, VecDeque<Question>>,
    /// Who was answered last.
    last: Option<NodeId>,
    stopped: bool,
}

impl Waiting {
    /// The first question of the next member who has one.
    fn next(&mut self) -> Option<Question> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut next = self.questions.range((after, Bound::Unbounded));
        let next = next.next().or_else(|| self.questions.iter().next());
        let from = *next?.0;
        self.last = Some(from);
        let of_one = self.questions.get_mut(&from)?;
        let question = of_one.pop_front();
        if of_one.is_empty() {
            self.questions.remove(&from);
        }
        question
    }
}

/// Where questions are put.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    shared: Arc<(Mutex<Waiting>, Condvar)>,
    /// How many of one member may wait. More are dropped: it asks again.
    most: usize,
}

impl Questions {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            shared: Arc::default(),
            most,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, question: Question) {
        let mut waiting = self.waiting();
        let of_one = waiting.questions.entry(question.from).or_default();
        if of_one.len() < self.most {
            of_one.push_back(question);
            self.shared.1.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        self.waiting().stopped = true;
        self.shared.1.notify_all();
    }

    /// The next question, once there is one; `None` at the end.
    fn take(&self) -> Option<Question> {
        let waiting = self.waiting();
        let idle = |waiting: &mut Waiting| waiting.questions.is_empty() && !waiting.stopped;
        let mut waiting = self.shared.1.wait_while(waiting, idle);
        let waiting = waiting.as_mut().unwrap_or_else(|error| error.get_mut());
        if waiting.stopped {
            None
        } else {
            waiting.next()
        }
    }

    /// Starts a thread of that name. `tell` is given each answer, for whom, and its number; `None` is the answer of a ledger that is
    /// not there yet. `failed` is called when the store fails.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn answer<S: KvStore + Send + 'static>(
        &self,
        name: &str,
        ledger: Shared<S>,
        tell: impl Fn(NodeId, u64, Option<Answer>) + Send + 'static,
        failed: impl FnOnce(StoreError) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let questions = self.clone();
        let answers = move || {
            while let Some(question) = questions.take() {
                let there = ledger.lock().head().stable >= question.least;
                let answer = match question.query {
                    _ if !there => None,
                    Some(query) => match ledger.answer(&query) {
                        Ok(answer) => Some(answer),
                        Err(error) => return failed(error),
                    },
                    None => Some(Answer::Malformed),
                };
                tell(question.from, question.number, answer);
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 128;

    fn question(from: u32, number: u64) -> Question {
        Question {
            from: NodeId(from),
            number,
            least: Height::ZERO,
            query: None,
        }
    }

    #[test]
    fn members_are_answered_in_turns_and_who_asks_too_much_loses_its_own_questions_only() {
        let questions = Questions::new(MOST);
        for number in 0..1000 {
            questions.put(question(7, number));
        }
        questions.put(question(4, 1));
        questions.put(question(9, 1));
        let taken: Vec<_> = (0..MOST + 2)
            .filter_map(|_| questions.take())
            .map(|question| (question.from.0, question.number))
            .collect();
        assert_eq!(&taken[..4], [(4, 1), (7, 0), (9, 1), (7, 1)]);
        assert_eq!(taken.len(), MOST + 2);
        assert_eq!(taken.last(), Some(&(7, MOST as u64 - 1)));
        questions.stop();
        assert!(questions.take().is_none());
    }
}
