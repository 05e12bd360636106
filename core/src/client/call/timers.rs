//! The limits of one attempt: which one is next, and which one has fired.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::client::system::clock::{Clock, until};
use crate::client::transport::Progress;
use crate::policy::Policy;
use crate::time::Tick;

/// The limit that ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    PerTry,
    /// `per_try_timeout`, where it holds for the body as well.
    Body,
    Idle,
    Deadline,
}

/// The limits of one attempt up to its response head. `connect_timeout` is not among them: the connector keeps it.
pub(super) struct HeadTimer<'a> {
    pub(super) progress: &'a Progress,
    pub(super) began: Tick,
    pub(super) per_try: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) deadline: Option<Tick>,
    /// The call's `timeout`, where it counts from the end of this upload.
    pub(super) from_upload: Option<Duration>,
}

impl<'a> HeadTimer<'a> {
    pub(super) fn new(policy: &Policy, progress: &'a Progress, began: Tick, deadline: Option<Tick>) -> Self {
        HeadTimer { progress, began, per_try: policy.per_try_timeout(), idle: policy.idle_timeout(), deadline, from_upload: None }
    }

    /// The call's deadline, as far as it is known now.
    fn end(&self) -> Option<Tick> {
        match self.from_upload {
            Some(_) if self.progress.uploading().is_some() => None,
            Some(timeout) => self.progress.uploaded_at().map_or(self.deadline, |uploaded| Some(uploaded.after(timeout))),
            None => self.deadline,
        }
    }

    /// The limit that has fired by `now`, or the moment before which none can fire.
    ///
    /// Clocks that stand still (per_try_timeout while connecting or uploading) make that moment a lower bound: who waits
    /// for it looks again.
    fn check(&self, now: Tick) -> Result<Tick, Limit> {
        let end = self.end();
        if end.is_some_and(|end| now >= end) {
            return Err(Limit::Deadline);
        }
        // The other clock may start at any moment, with the begin or the end of the upload.
        let (limit, spent, name, other) = match self.progress.uploading() {
            Some(moved) => (self.idle, now.since(moved), Limit::Idle, self.per_try),
            None => (self.per_try, self.waited(now), Limit::PerTry, self.idle.filter(|_| self.progress.uploaded_at().is_none())),
        };
        let mut next = other.map_or(Tick::MAX, |limit| now.after(limit));
        if let Some(limit) = limit {
            next = next.min(now.after(limit.checked_sub(spent).filter(|left| !left.is_zero()).ok_or(name)?));
        }
        // A deadline that is not known yet is no nearer than the whole timeout.
        Ok(next.min(end.or(self.from_upload.map(|timeout| now.after(timeout))).unwrap_or(Tick::MAX)))
    }

    /// How much of per_try_timeout is used up.
    fn waited(&self, now: Tick) -> Duration {
        match self.progress.uploaded_at() {
            Some(uploaded) => now.since(uploaded),
            None => now.since(self.began).saturating_sub(self.progress.connecting_time(now)),
        }
    }

    /// Runs `exchange`, which begins with the attempt, until it ends or a limit fires.
    pub(super) async fn run<F: Future>(&self, clock: &impl Clock, mut exchange: Pin<&mut F>) -> Result<F::Output, Limit> {
        let mut now = self.began;
        loop {
            let next = self.check(now)?;
            if let Some(output) = until(clock, next, exchange.as_mut()).await {
                return Ok(output);
            }
            now = clock.now();
        }
    }
}

/// Runs `step` (reading one piece of a body) for as long as something moves at least every `idle`, and not past `deadline`. `upload` is the one that
/// may go on meanwhile.
pub(super) async fn within<F: Future>(
    clock: &impl Clock,
    idle: Option<Duration>,
    upload: &Progress,
    deadline: Option<Tick>,
    step: F,
) -> Result<F::Output, Limit> {
    let mut step = pin!(step);
    // What has come already needs no timer.
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(step.as_mut().poll(context))).await {
        return Ok(output);
    }
    let end = deadline.unwrap_or(Tick::MAX);
    let mut moved = clock.now();
    loop {
        moved = moved.max(upload.moved_at().unwrap_or(moved));
        let silent = idle.map_or(Tick::MAX, |idle| moved.after(idle));
        let next = silent.min(end);
        if next < Tick::MAX && clock.now() >= next {
            return Err(if end <= silent { Limit::Deadline } else { Limit::Idle });
        }
        if let Some(output) = until(clock, next, step.as_mut()).await {
            return Ok(output);
        }
    }
}

#[cfg(all(test, feature = "simulate"))]
mod tests {
    use std::time::Duration;

    use super::{HeadTimer, Limit};
    use crate::client::transport::Progress;
    use crate::error::ErrorKind;
    use crate::policy::Policy;
    use crate::simulate::attempt_limit;
    use crate::time::Tick;

    /// The first moment at which a limit has fired, and which.
    fn fires(timer: &HeadTimer<'_>) -> Option<(Tick, ErrorKind)> {
        let mut now = timer.began;
        loop {
            match timer.check(now) {
                Ok(Tick::MAX) => return None,
                Ok(next) => now = next,
                Err(Limit::Deadline) => return Some((now, ErrorKind::Deadline)),
                Err(_) => return Some((now, ErrorKind::PerTryTimeout)),
            }
        }
    }

    /// What is simulated: a request without a body whose connection is there.
    #[test]
    fn simulations_end_attempts_when_clients_do() {
        let began = Tick(7_000_000_000);
        let mut seen = Vec::new();
        for per_try in ["none", "1ms", "3s", "20s"] {
            for idle in ["none", "2s"] {
                for left in [None, Some(1), Some(3_000), Some(3_001), Some(60_000)] {
                    let policy = Policy::from_yaml(&format!("{{per_try_timeout: {per_try}, idle_timeout: {idle}, timeout: none}}"))
                        .expect("a policy");
                    let deadline = left.map(|ms| began.after(Duration::from_millis(ms)));
                    let progress = Progress::default();
                    progress.touch(began);
                    progress.uploaded(began);
                    let fired = fires(&HeadTimer::new(&policy, &progress, began, deadline));
                    assert_eq!(fired, attempt_limit(&policy, began, deadline), "{policy:?} {left:?}");
                    seen.extend(fired.map(|(_, kind)| kind));
                }
            }
        }
        assert!(seen.contains(&ErrorKind::Deadline) && seen.contains(&ErrorKind::PerTryTimeout));
    }
}
