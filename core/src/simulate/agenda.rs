//! What happens next in virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Something that happens at a moment. Packed, because millions of them are sorted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: u64,
    /// What was put down first happens first.
    order: u64,
    packed: u64,
}

/// An event: what, of which call, at which stamp of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) what: What,
    pub(super) call: u32,
    pub(super) stamp: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum What {
    /// A call of the arrivals begins.
    Arrive,
    /// A worker of the batch begins a call.
    Work,
    /// The request reaches the server, or the next layer.
    Reach,
    /// The read of an optimistic lock is back, and the write goes out.
    Write,
    /// The write of an optimistic lock reaches the server.
    Written,
    /// The server has done a request's work.
    Served,
    /// The answer reaches the client.
    Answer,
    /// The attempt failed without an answer.
    Fail,
    /// per_try_timeout.
    PerTry,
    /// The end of the call's timeout.
    Deadline,
    /// A wait is over.
    Resend,
}

const KINDS: [What; 11] = [
    What::Arrive,
    What::Work,
    What::Reach,
    What::Write,
    What::Written,
    What::Served,
    What::Answer,
    What::Fail,
    What::PerTry,
    What::Deadline,
    What::Resend,
];

/// The most calls at once, and the most stamps: what the packing leaves room for.
pub(super) const MOST_CALLS: u32 = 1 << 28;

impl Event {
    /// What concerns no call that there is.
    pub(super) fn of_nobody(what: What) -> Event {
        Event { what, call: 0, stamp: 0 }
    }

    fn packed(self) -> u64 {
        (self.what as u64) << 60 | u64::from(self.call) << 32 | u64::from(self.stamp)
    }

    fn unpacked(packed: u64) -> Event {
        Event { what: KINDS[(packed >> 60) as usize], call: (packed >> 32) as u32 & (MOST_CALLS - 1), stamp: packed as u32 }
    }
}

/// Events by time.
#[derive(Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    /// Limits of the same length come in the order in which they were set: most are never looked at again, and need no sorting.
    limits: VecDeque<Entry>,
    put: u64,
}

impl Agenda {
    pub(super) fn put(&mut self, at: u64, event: Event) {
        let entry = self.entry(at, event);
        self.heap.push(Reverse(entry));
    }

    /// As `put`, for what is put down in the order of its time.
    pub(super) fn put_limit(&mut self, at: u64, event: Event) {
        match self.limits.back() {
            Some(last) if last.at > at => self.put(at, event),
            _ => {
                let entry = self.entry(at, event);
                self.limits.push_back(entry);
            }
        }
    }

    fn entry(&mut self, at: u64, event: Event) -> Entry {
        self.put += 1;
        Entry { at, order: self.put, packed: event.packed() }
    }

    pub(super) fn next(&mut self) -> Option<(u64, Event)> {
        let entry = match (self.heap.peek(), self.limits.front()) {
            (Some(Reverse(event)), Some(limit)) if limit < event => self.limits.pop_front(),
            (None, Some(_)) => self.limits.pop_front(),
            (Some(_), _) => self.heap.pop().map(|Reverse(entry)| entry),
            (None, None) => None,
        }?;
        Some((entry.at, Event::unpacked(entry.packed)))
    }
}
