//! One registered script: which outcome comes next, and the task that owns its port.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::connection;
use crate::log::Log;
use crate::outcome::{Mode, Outcome};
use crate::port::Port;

/// The base URL of every live script, for the `$url:ID` placeholder.
pub(crate) type Urls = Mutex<HashMap<String, String>>;

pub(crate) struct State {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) port: u16,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) http2: bool,
    pub(crate) keep_alive: bool,
    pub(crate) log: Log,
    pub(crate) urls: Arc<Urls>,
    next: Mutex<usize>,
    /// Asks the accept task to bring the port in line with the next outcome.
    realign: mpsc::UnboundedSender<oneshot::Sender<()>>,
    /// Changes when clients have to connect anew to meet the next outcome.
    renew: watch::Sender<()>,
}

pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) http2: bool,
    pub(crate) keep_alive: bool,
    pub(crate) urls: Arc<Urls>,
}

/// The outcome that a request or connection met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) n: usize,
    /// The port has to change before the client hears of this outcome.
    pub(crate) realign: bool,
}

impl State {
    /// Brings the port into the state of the first outcome and starts to serve it.
    pub(crate) async fn start(parts: Parts, mut port: Port) -> std::io::Result<(Arc<Self>, tokio::task::JoinHandle<()>)> {
        let (realign, requests) = mpsc::unbounded_channel();
        let state = Arc::new(Self {
            id: parts.id,
            url: parts.url,
            port: port.number(),
            outcomes: parts.outcomes,
            tls: parts.tls,
            http2: parts.http2,
            keep_alive: parts.keep_alive,
            log: Log::new(),
            urls: parts.urls,
            next: Mutex::new(0),
            realign,
            renew: watch::Sender::new(()),
        });
        port.switch(state.mode()).await?;
        let task = tokio::spawn(accept(Arc::downgrade(&state), port, requests));
        Ok((state, task))
    }

    fn next(&self) -> MutexGuard<'_, usize> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mode(&self) -> Mode {
        self.outcomes[*self.next()].mode()
    }

    /// Notified when idle connections have to be closed.
    pub(crate) fn renewals(&self) -> watch::Receiver<()> {
        self.renew.subscribe()
    }

    /// Moves on from outcome `next`; the last one stays.
    fn consume(&self, next: &mut usize) -> Claim {
        let n = *next;
        *next = (n + 1).min(self.outcomes.len() - 1);
        let following = &self.outcomes[*next];
        if *next != n && following.needs_new_connection() {
            self.renew.send_replace(());
        }
        let realign = following.mode() != self.outcomes[n].mode();
        Claim { n, realign }
    }

    /// A request takes the next outcome. While that is one for which the client should not have got this far,
    /// it is left to the next connection, and the request fails.
    pub(crate) fn claim_request(&self) -> Result<Claim, usize> {
        let mut next = self.next();
        if self.outcomes[*next].mode() != Mode::Serve {
            return Err(*next);
        }
        Ok(self.consume(&mut next))
    }

    /// An accepted connection takes the next outcome if that one acts before any request.
    fn claim_accept(&self) -> Option<Claim> {
        let mut next = self.next();
        self.outcomes[*next].acts_on_accept().then(|| self.consume(&mut next))
    }

    /// Moves on to the next outcome by hand; returns once the port is in its state.
    pub(crate) async fn advance(&self) {
        self.consume(&mut self.next());
        self.realign().await;
    }

    pub(crate) async fn realign(&self) {
        let (done, finished) = oneshot::channel();
        if self.realign.send(done).is_ok() {
            // An error means that the script is being removed.
            let _ = finished.await;
        }
    }
}

/// Owns the port and all its connections; when it ends, they are gone.
async fn accept(state: Weak<State>, mut port: Port, mut requests: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
    let mut connections = JoinSet::new();
    loop {
        let tcp = tokio::select! {
            biased;
            request = requests.recv() => {
                let (Some(done), Some(state)) = (request, state.upgrade()) else { return };
                realign(&state, &mut port).await;
                let _ = done.send(());
                continue;
            }
            Some(_) = connections.join_next() => continue,
            tcp = port.accept() => tcp,
        };
        let Some(state) = state.upgrade() else { return };
        let claim = state.claim_accept();
        if claim.is_some_and(|claim| claim.realign) {
            realign(&state, &mut port).await;
        }
        if claim.is_none() && state.mode() != Mode::Serve {
            // Let in by a port that was about to stop serving.
            connection::refuse(tcp);
            continue;
        }
        connections.spawn(run(state, tcp, claim));
    }
}

async fn realign(state: &State, port: &mut Port) {
    if let Err(error) = port.switch(state.mode()).await {
        eprintln!("reknock-test-server: script {}: port {}: {error}", state.id, state.port);
    }
}

async fn run(state: Arc<State>, tcp: TcpStream, claim: Option<Claim>) {
    struct Open(Arc<State>);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.log.disconnected();
        }
    }
    let serial = state.log.connected();
    let _open = Open(Arc::clone(&state));
    connection::serve(state, tcp, serial, claim).await;
}
