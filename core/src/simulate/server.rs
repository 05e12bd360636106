//! The model of a server: places, a queue, times that grow with the load.

use std::collections::VecDeque;

use super::agenda::{Event, What};
use super::chance::nanos;
use super::scenario::How;
use super::world::{End, World};
use crate::error::ErrorKind;

#[derive(Default)]
pub(super) struct Server {
    at_work: u32,
    /// Place and stamp of attempts that wait.
    queue: VecDeque<(u32, u32)>,
    /// Of the row that an optimistic lock guards.
    version: u64,
}

impl World<'_> {
    /// A request reaches what it was sent to.
    pub(super) fn reach(&mut self, now: u64, call: u32, stamp: u32) {
        let running = &self.calls[call as usize];
        if !self.is_current(call, stamp) && !self.scenario.server.abandoned_runs {
            return;
        }
        let layer = running.layer();
        if layer + 1 < self.scenario.layers {
            return self.call(now, layer + 1, Some((call, stamp)), false);
        }
        if self.scenario.server.optimistic_lock {
            self.calls[call as usize].version = self.server.version;
            let way = self.way();
            return self.agenda.put(now + way, Event { what: What::Write, call, stamp });
        }
        let at_server = |how: &How| !matches!(how, How::Error(ErrorKind::Connect | ErrorKind::ConnectTimeout));
        match self.failing(now, at_server) {
            Some(index) => self.fail(now, call, stamp, index),
            None if self.scenario.server.capacity.is_none_or(|capacity| self.server.at_work < capacity) => self.serve(now, call, stamp),
            None if self.server.queue.len() < self.scenario.server.queue as usize => self.server.queue.push_back((call, stamp)),
            None => self.answer(now, call, stamp, End::Status(503)),
        }
    }

    fn fail(&mut self, now: u64, call: u32, stamp: u32, index: usize) {
        let failure = &self.scenario.server.failures[index];
        let at = now + failure.after.as_nanos() as u64;
        match failure.how {
            How::Silent => {}
            How::Status(..) => self.answer(at, call, stamp, End::Failure(index)),
            How::Error(_) if self.is_current(call, stamp) => {
                self.calls[call as usize].end = End::Failure(index);
                let way = self.way();
                self.agenda.put(at + way, Event { what: What::Fail, call, stamp });
            }
            How::Error(_) => {}
        }
    }

    /// The answer goes back to whoever still waits for it.
    fn answer(&mut self, now: u64, call: u32, stamp: u32, end: End) {
        let way = self.way();
        if self.is_current(call, stamp) {
            self.calls[call as usize].end = end;
            self.agenda.put(now + way, Event { what: What::Answer, call, stamp });
        }
    }

    fn serve(&mut self, now: u64, call: u32, stamp: u32) {
        let server = &self.scenario.server;
        self.server.at_work += 1;
        if self.is_current(call, stamp) {
            self.calls[call as usize].at_work = true;
        }
        let plain = server.latency.as_nanos() as f64 + server.per_concurrent.as_nanos() as f64 * f64::from(self.server.at_work);
        let is_slow =
            |slow: &&super::scenario::Slow| now >= slow.from.as_nanos() as u64 && slow.to.is_none_or(|to| now < to.as_nanos() as u64);
        let factor: f64 = server.slow.iter().filter(is_slow).map(|slow| slow.factor).product();
        self.agenda.put(now + nanos(plain * factor), Event { what: What::Served, call, stamp });
    }

    /// The work of a request is done.
    pub(super) fn served(&mut self, now: u64, call: u32, stamp: u32) {
        let current = self.is_current(call, stamp);
        // Where abandoned work stops, its place was given up with it.
        if current || self.scenario.server.abandoned_runs {
            self.leave_server(now);
        }
        if current {
            self.calls[call as usize].at_work = false;
            self.answer(now, call, stamp, End::Good);
        }
    }

    /// A place is free: the first in the queue has it.
    pub(super) fn leave_server(&mut self, now: u64) {
        self.server.at_work -= 1;
        while let Some((call, stamp)) = self.server.queue.pop_front() {
            if self.scenario.server.abandoned_runs || self.is_current(call, stamp) {
                return self.serve(now, call, stamp);
            }
        }
    }

    /// The write of an optimistic lock arrives.
    pub(super) fn written(&mut self, now: u64, call: u32, stamp: u32) {
        let wins = self.calls[call as usize].version == self.server.version;
        self.server.version += u64::from(wins);
        self.answer(now, call, stamp, if wins { End::Good } else { End::Status(409) });
    }
}
