//! Addresses of names, as the system has them. Those who ask for the same name meanwhile get the same answer.
//!
//! Nobody can stop the system's resolver, and it holds a thread until it answers: else every call that gives up waiting would leave one behind.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

type Found = Result<Vec<SocketAddr>, Arc<io::Error>>;

/// Who has been asked and has not answered yet, by name.
type Asked = Mutex<HashMap<String, watch::Receiver<Option<Found>>>>;

/// Asks the system.
pub(super) struct Resolver {
    asked: Arc<Asked>,
    ask: fn(&str) -> io::Result<Vec<SocketAddr>>,
}

/// One question. Dropping it makes room for the next one of its name.
struct Question {
    asked: Arc<Asked>,
    name: String,
    answer: watch::Sender<Option<Found>>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self::asking(|name| Ok((name, 0).to_socket_addrs()?.collect()))
    }

    fn asking(ask: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Self {
        Resolver { asked: Arc::default(), ask }
    }

    /// The addresses of a name, in the system's order, without a port.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn addresses(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        loop {
            let mut answer = self.answer(name);
            // Without one, the runtime that was to ask is gone.
            let found = answer.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
            if let Some(found) = found {
                return found.map_err(|error| match error.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(error.kind(), error),
                });
            }
        }
    }

    /// Where the answer comes: to a question that was asked before, or now.
    fn answer(&self, name: &str) -> watch::Receiver<Option<Found>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = asked.get(name) {
            return answer.clone();
        }
        let (answer, comes) = watch::channel(None);
        asked.insert(name.to_owned(), comes.clone());
        drop(asked);
        let (question, ask) = (Question { asked: Arc::clone(&self.asked), name: name.to_owned(), answer }, self.ask);
        spawn_blocking(move || {
            let found = ask(&question.name).map_err(Arc::new);
            question.answer.send_replace(Some(found));
        });
        comes
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);
    static GATE: Mutex<()> = Mutex::new(());

    /// Answers once the gate is open.
    fn slow(name: &str) -> io::Result<Vec<SocketAddr>> {
        let number = ASKED.fetch_add(1, Ordering::SeqCst);
        drop(GATE.lock().unwrap());
        if name == "none" {
            Err(io::Error::other(format!("no such name: {number}")))
        } else {
            Ok(vec![(Ipv4Addr::from(number as u32), 0).into()])
        }
    }

    #[test]
    fn those_who_give_up_leave_one_thread() {
        let resolver = Resolver::asking(slow);
        let closed = GATE.lock().unwrap();
        // Each in a runtime of its own, as lanes are.
        let runtimes: Vec<_> = (0..20).map(|_| Builder::new_current_thread().enable_all().build().unwrap()).collect();
        for runtime in &runtimes {
            for _ in 0..5 {
                let given_up = runtime.block_on(async { timeout(Duration::from_millis(1), resolver.addresses("a")).await });
                assert!(given_up.is_err());
            }
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 1);
        drop(closed);
        let last = runtimes.last().unwrap();
        let found = last.block_on(resolver.addresses("a")).unwrap();
        assert!(found[0].ip() == Ipv4Addr::from(0) || found[0].ip() == Ipv4Addr::from(1), "the one that was asked before, or the next");
        let error = last.block_on(resolver.addresses("none")).unwrap_err();
        assert!(error.to_string().starts_with("no such name"), "{error}");
        assert!(resolver.asked.lock().unwrap().len() <= 1, "answers are not kept");
    }

    #[test]
    fn who_was_to_ask_may_go() {
        let resolver = Resolver::asking(|_| Ok(vec![(Ipv4Addr::LOCALHOST, 0).into()]));
        let builder = || Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
        let gone = builder();
        let (hold, held) = std::sync::mpsc::channel::<()>();
        gone.spawn_blocking(move || held.recv());
        let given_up = gone.block_on(async { timeout(Duration::from_millis(1), resolver.addresses("b")).await });
        assert!(given_up.is_err(), "its only thread is taken");
        let other = builder();
        let waits = other.block_on(async {
            let waits = resolver.addresses("b");
            gone.shutdown_background();
            drop(hold);
            timeout(Duration::from_secs(20), waits).await
        });
        assert_eq!(waits.expect("it waits for ever").unwrap(), [(Ipv4Addr::LOCALHOST, 0).into()]);
    }
}
