//! Spans and events of the layer's calls, as clients make them. Without the feature `tracing` there is nothing of it.

#[cfg(not(feature = "tracing"))]
mod off {
    use std::sync::Arc;

    use crate::retry::driver::Driver;
    use crate::time::Tick;

    /// What is told of a call.
    pub(in crate::tower) struct Trace(());

    impl Trace {
        pub(in crate::tower) fn begin(_: &str, _: &str, _: impl FnOnce() -> Option<Arc<str>>) -> Self {
            Trace(())
        }

        pub(in crate::tower) fn attempt(&mut self, _: &Driver) {}

        pub(in crate::tower) fn send<F: Future>(&self, send: impl FnOnce() -> F) -> F {
            send()
        }

        pub(in crate::tower) fn ended(&mut self, _: &Driver, _: Option<http::Version>) {}

        pub(in crate::tower) fn decided(&self, _: &mut Driver, _: Tick) {}

        pub(in crate::tower) fn given_up(&mut self, _: &Driver) {}
    }
}

#[cfg(feature = "tracing")]
mod on {
    use std::sync::Arc;

    use tracing::instrument::Instrumented;
    use url::Url;

    use crate::client::{Event, EventKind, trace};
    use crate::error::ErrorKind;
    use crate::identity::Identity;
    use crate::record::AttemptRecord;
    use crate::retry::driver::Driver;
    use crate::time::Tick;

    /// What is told of a call.
    pub(in crate::tower) struct Trace {
        /// Whose call it is, if anybody listens.
        call: Option<Arc<Identity>>,
        method: String,
        attempt: trace::Trace,
    }

    impl Trace {
        pub(in crate::tower) fn begin(method: &str, url: &str, name: impl FnOnce() -> Option<Arc<str>>) -> Self {
            let listens = trace::heard().is_some();
            let call = listens.then(|| Arc::new(Identity::of_request(method, url, name())));
            Trace { call, method: if listens { method.to_owned() } else { String::new() }, attempt: trace::Trace::default() }
        }

        /// An attempt begins; its record is there.
        pub(in crate::tower) fn attempt(&mut self, driver: &Driver) {
            if let (Some(call), Some(attempt), true) = (&self.call, driver.records().last(), trace::spans()) {
                let (attempt, target) = (attempt.clone(), call.url.clone());
                let kind = EventKind::AttemptStart { attempt, method: self.method.clone(), target };
                self.attempt = trace::begin(&Event { call: Some(Arc::clone(call)), kind }, Url::parse(&call.url).ok().as_ref());
            }
        }

        /// Work of the attempt, and what begins it: what lies further in makes its spans there.
        pub(in crate::tower) fn send<F: Future>(&self, send: impl FnOnce() -> F) -> Instrumented<F> {
            self.attempt.around(send)
        }

        /// The attempt ended as its record says, with a response of this version if there was one.
        pub(in crate::tower) fn ended(&mut self, driver: &Driver, version: Option<http::Version>) {
            if let (Some(_), Some(attempt)) = (&self.call, driver.records().last()) {
                let mut attempt = attempt.clone();
                attempt.connection.version = version.map(Into::into);
                self.attempt.end(&attempt);
            }
        }

        /// The call was dropped, and with it the attempt that has not ended, if there is one.
        pub(in crate::tower) fn given_up(&mut self, driver: &Driver) {
            if let (Some(_), Some(attempt)) = (&self.call, driver.records().last()) {
                self.attempt.end(&AttemptRecord { error: Some(ErrorKind::Cancelled), ..attempt.clone() });
            }
        }

        /// A retry, or the end.
        pub(in crate::tower) fn decided(&self, driver: &mut Driver, now: Tick) {
            let Some(call) = &self.call else { return };
            Event::notices_of_driver(Some(call), driver).iter().for_each(trace::log);
            let event = Event::of_driver(Arc::clone(call), driver, now);
            if trace::heard().is_some_and(|least| event.level() >= least) {
                trace::log(&event);
            }
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) use off::Trace;
#[cfg(feature = "tracing")]
pub(super) use on::Trace;
