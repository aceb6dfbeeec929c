use std::{cmp::Ordering, collections::BinaryHeap};

/// What is to happen, soonest first. What happens at the same instant comes in an order that the seed decides.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    count: u64,
}

#[derive(Debug)]
struct Entry<T> {
    at: u64,
    tie: u32,
    count: u64,
    item: T,
}

impl<T> Entry<T> {
    const fn key(&self) -> (u64, u32, u64) {
        (self.at, self.tie, self.count)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Reversed: the heap gives its greatest entry first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, at: u64, tie: u32, item: T) {
        self.count += 1;
        self.heap.push(Entry {
            at,
            tie,
            count: self.count,
            item,
        });
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, T)> {
        self.heap.pop().map(|entry| (entry.at, entry.item))
    }
}
