//! Spans and events of the crate `tracing`: one span per attempt by OpenTelemetry's stable conventions for HTTP clients, an event for each retry and each
//! warning, all under the target `reknock`. Without the feature there is nothing of it.

#[cfg(not(feature = "tracing"))]
mod off {
    use std::future::Future;

    use url::Url;

    use crate::client::call::events::{Event, Level};
    use crate::record::AttemptRecord;

    /// The span of an attempt.
    #[derive(Clone, Debug, Default)]
    pub(in crate::client) struct Trace(());

    impl Trace {
        pub(in crate::client) fn end(&mut self, _: &AttemptRecord) {}

        pub(in crate::client) fn within<F: Future>(&self, work: F) -> F {
            work
        }
    }

    pub(in crate::client) const fn spans() -> bool {
        false
    }

    pub(in crate::client) fn begin(_: &Event, _: Option<&Url>) -> Trace {
        Trace(())
    }

    pub(in crate::client) const fn heard() -> Option<Level> {
        None
    }

    pub(in crate::client) fn log(_: &Event) {}
}

#[cfg(feature = "tracing")]
mod on {
    use std::future::Future;

    use tracing::field::Empty;
    use tracing::instrument::{Instrument, Instrumented};
    use tracing::{Level as Its, Span, enabled, info, span, warn};
    use url::Url;

    use crate::client::call::conventions::known_methods;
    use crate::client::call::events::{Event, EventKind, Level};
    use crate::record::AttemptRecord;

    /// The span of an attempt.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Trace(Option<Span>);

    impl Trace {
        /// The attempt ended so.
        pub(crate) fn end(&mut self, attempt: &AttemptRecord) {
            let Some(span) = self.0.take() else { return };
            if let Some(status) = attempt.status {
                span.record("http.response.status_code", status);
            }
            if let Some(error) = attempt.error_type() {
                span.record("error.type", &*error);
                span.record("otel.status_code", "ERROR");
            }
            if let Some(peer) = attempt.connection.peer {
                span.record("network.peer.address", peer.ip().to_string());
                span.record("network.peer.port", peer.port());
            }
            if let Some(version) = attempt.connection.version {
                span.record("network.protocol.version", version.code().trim_start_matches("HTTP/"));
            }
        }

        /// Work of the attempt.
        pub(crate) fn within<F: Future>(&self, work: F) -> Instrumented<F> {
            work.instrument(self.0.clone().unwrap_or_else(Span::none))
        }

        /// Likewise, what begins it included.
        #[cfg(feature = "tower")]
        pub(crate) fn around<F: Future>(&self, begin: impl FnOnce() -> F) -> Instrumented<F> {
            let span = self.0.clone().unwrap_or_else(Span::none);
            span.in_scope(begin).instrument(span)
        }
    }

    /// Whether anybody wants spans.
    pub(crate) fn spans() -> bool {
        enabled!(target: "reknock", Its::INFO)
    }

    /// The span of the attempt that starts, to this URL, if it has one.
    pub(crate) fn begin(start: &Event, url: Option<&Url>) -> Trace {
        let (Some(call), EventKind::AttemptStart { attempt, method, target }) = (&start.call, &start.kind) else { return Trace(None) };
        // Addresses of version 6 without the brackets that are a URL's.
        let host = url.and_then(Url::host_str).map(|host| host.trim_matches(['[', ']']));
        let known = known_methods().contains(method);
        let shown = if known { method.as_str() } else { "_OTHER" };
        let first = if known { method.as_str() } else { "HTTP" };
        let name = call.name.as_deref().map_or_else(|| first.to_owned(), |name| format!("{first} {name}"));
        let span = span!(
            target: "reknock",
            Its::INFO,
            "attempt",
            otel.kind = "client",
            otel.name = name,
            otel.status_code = Empty,
            http.request.method = shown,
            http.request.method_original = Empty,
            http.request.resend_count = Empty,
            http.response.status_code = Empty,
            server.address = host,
            server.port = url.and_then(Url::port_or_known_default),
            url.full = target,
            url.template = call.name.as_deref(),
            network.peer.address = Empty,
            network.peer.port = Empty,
            network.protocol.version = Empty,
            error.type = Empty,
            reknock.call_id = call.call_id,
        );
        if !known {
            span.record("http.request.method_original", method.as_str());
        }
        if attempt.number > 1 {
            span.record("http.request.resend_count", attempt.number - 1);
        }
        Trace(Some(span))
    }

    /// The least of events that anybody wants. What happens with every call is in the spans.
    pub(crate) fn heard() -> Option<Level> {
        if !enabled!(target: "reknock", Its::WARN) {
            return None;
        }
        Some(if enabled!(target: "reknock", Its::INFO) { Level::Info } else { Level::Warning })
    }

    /// A retry or a warning.
    pub(crate) fn log(event: &Event) {
        let call = event.call.as_deref();
        let (id, name, url) =
            (call.map(|call| call.call_id), call.and_then(|call| call.name.as_deref()), call.map(|call| call.url.as_str()));
        let (kind, method) = (event.kind.code(), call.map(|call| call.method.as_str()));
        match event.level() {
            Level::Debug => {}
            Level::Info => info!(
                target: "reknock",
                { reknock.event = kind, reknock.call_id = id, reknock.name = name, http.request.method = method, url.full = url },
                "{event}"
            ),
            Level::Warning => warn!(
                target: "reknock",
                { reknock.event = kind, reknock.call_id = id, reknock.name = name, http.request.method = method, url.full = url },
                "{event}"
            ),
        }
    }
}

#[cfg(not(feature = "tracing"))]
pub(in crate::client) use off::*;
#[cfg(feature = "tracing")]
pub(crate) use on::*;
