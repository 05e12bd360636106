//! The public handles: a server and its scripts.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::document::Document;
use crate::log::Arrival;
use crate::port::Port;
use crate::script::{Parts, State, Urls};
use crate::tls::Authority;
use crate::{Error, control};

/// A running test server. Dropping it stops it and all its scripts.
pub struct Server {
    inner: Arc<Inner>,
    url: String,
    control: JoinHandle<()>,
}

impl Server {
    /// Starts the control endpoint on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn start() -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let inner = Arc::new(Inner::default());
        let control = tokio::spawn(control::serve(listener, Arc::clone(&inner)));
        Ok(Self { inner, url, control })
    }

    /// Base URL of the control endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Registers a script; its port is in the state of the first outcome when this returns.
    ///
    /// # Errors
    /// [`Error::Document`] names the place and the value that are wrong.
    pub async fn script(&self, document: Value) -> Result<Script, Error> {
        let running = self.inner.register(&document).await?;
        Ok(Script { running, inner: Arc::clone(&self.inner) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.abort();
        for running in self.inner.scripts().drain() {
            running.1.task.abort();
        }
    }
}

/// A registered script. Dropping it closes its connections and frees its port.
pub struct Script {
    running: Arc<Running>,
    inner: Arc<Inner>,
}

impl Script {
    /// The URL to call, without a path: `http://127.0.0.1:PORT`, or https.
    pub fn url(&self) -> &str {
        &self.running.state.url
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.running.state.port
    }

    /// Its name on the control endpoint.
    pub fn id(&self) -> &str {
        &self.running.state.id
    }

    /// PEM of the authority behind its certificate; none without TLS and for `self-signed`.
    pub fn ca(&self) -> Option<&str> {
        self.running.ca.as_deref()
    }

    /// PEM of a client certificate that it accepts, and of its key; only with `client_cert`.
    pub fn client_cert(&self) -> Option<(&str, &str)> {
        let (certificate, key) = self.running.client.as_ref()?;
        Some((certificate, key))
    }

    /// Every request so far, in order of arrival.
    pub fn log(&self) -> Vec<Arrival> {
        self.running.state.log.arrivals()
    }

    /// Connections accepted so far, those that brought no request included.
    pub fn connections(&self) -> u64 {
        self.running.state.log.connections()
    }

    /// Connections open now.
    pub fn open_connections(&self) -> u64 {
        self.running.state.log.open()
    }

    /// Returns once this holds: it is asked now, and whenever the log or the number of connections has changed.
    pub async fn until(&self, holds: impl FnMut() -> bool) {
        self.running.state.log.until(holds).await;
    }

    /// Returns once no connection is open.
    pub async fn all_closed(&self) {
        self.until(|| self.open_connections() == 0).await;
    }

    /// Moves on to the next outcome by hand; returns when the port is in its state.
    /// `refused` and `connect-timeout` end in no other way, as nobody sees their attempts.
    pub async fn advance(&self) {
        self.running.state.advance().await;
    }

    /// Like dropping it, but returns when the port is free.
    pub async fn close(self) {
        self.inner.remove(self.id());
        self.running.stop().await;
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.inner.remove(self.id());
        self.running.task.abort();
    }
}

pub(crate) struct Running {
    pub(crate) state: Arc<State>,
    ca: Option<String>,
    client: Option<(String, String)>,
    task: AbortHandle,
    handle: tokio::sync::Mutex<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn to_json(&self) -> Value {
        let state = &self.state;
        let mut value = json!({ "id": state.id, "url": state.url, "port": state.port });
        if let Some(ca) = &self.ca {
            value["ca"] = ca.as_str().into();
        }
        if let Some((certificate, key)) = &self.client {
            value["client_cert"] = certificate.as_str().into();
            value["client_key"] = key.as_str().into();
        }
        value
    }

    /// Returns when all its sockets are closed.
    pub(crate) async fn stop(&self) {
        self.task.abort();
        let mut handle = self.handle.lock().await;
        if !handle.is_finished() {
            let _ = (&mut *handle).await;
        }
    }
}

/// What the control endpoint and the handles share.
#[derive(Default)]
pub(crate) struct Inner {
    scripts: Mutex<HashMap<String, Arc<Running>>>,
    urls: Arc<Urls>,
    serial: AtomicU64,
    authority: OnceLock<Result<Authority, String>>,
}

impl Inner {
    fn scripts(&self) -> MutexGuard<'_, HashMap<String, Arc<Running>>> {
        self.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Running>> {
        self.scripts().get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &str) {
        self.scripts().remove(id);
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn authority(&self) -> Result<&Authority, Error> {
        self.authority
            .get_or_init(|| Authority::new().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|error| Error::Tls(error.clone()))
    }

    pub(crate) async fn register(&self, document: &Value) -> Result<Arc<Running>, Error> {
        let document = Document::parse(document)?;
        let mut ca = None;
        let mut client = None;
        let mut acceptor = None;
        if let Some(kind) = document.tls {
            let authority = self.authority()?;
            let config = authority.config(kind, &document).map_err(|error| Error::Tls(error.to_string()))?;
            acceptor = Some(TlsAcceptor::from(Arc::new(config)));
            ca = (kind != crate::document::Tls::SelfSigned).then(|| authority.pem());
            client = document.client_cert.then(|| authority.client().clone());
        }
        let port = Port::reserve()?;
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let id = format!("s{}", self.serial.fetch_add(1, Ordering::Relaxed) + 1);
        let url = format!("{scheme}://127.0.0.1:{}", port.number());
        let parts = Parts {
            id: id.clone(),
            url: url.clone(),
            outcomes: document.outcomes,
            tls: acceptor,
            http2: document.http2,
            keep_alive: document.keep_alive,
            urls: Arc::clone(&self.urls),
        };
        let (state, handle) = State::start(parts, port).await?;
        let running = Arc::new(Running { state, ca, client, task: handle.abort_handle(), handle: tokio::sync::Mutex::new(handle) });
        self.urls.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), url);
        self.scripts().insert(id, Arc::clone(&running));
        Ok(running)
    }
}
