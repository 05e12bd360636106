//! How the questions and events of a call reach the thread that runs it.

use std::any::Any;
use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::client::call::events::Event;
use crate::client::call::question::{Host, Question, Reply, Wants};
use crate::error::BoxError;

/// Where the questions and events of a call wait for the thread that runs it. There is no channel for a call that has none.
pub struct HostReceiver(Option<Arc<Channel>>);

/// The host of a call that is run by somebody with a [`HostReceiver`].
pub struct ChannelHost {
    wants: Wants,
    /// `None` where nothing is wanted: such a host is neither asked nor told anything.
    channel: Option<Arc<Channel>>,
}

/// What a call has said.
#[derive(Debug, Default)]
pub struct HostMessages {
    /// Events since the last time, in order. They came before the question.
    pub events: Vec<Event>,
    /// What it asks, and where the answer goes. Without one it goes on only to its deadline.
    pub question: Option<(Question, AnswerSender)>,
}

/// Where the answer to a question goes.
#[derive(Debug)]
pub struct AnswerSender(oneshot::Sender<Result<Result<Reply, BoxError>, Box<dyn Any + Send>>>);

#[derive(Default)]
struct Channel {
    messages: Mutex<HostMessages>,
    wanted: Notify,
}

impl HostReceiver {
    /// A receiver, and the host that brings everything to it.
    pub fn new(wants: Wants) -> (ChannelHost, HostReceiver) {
        let channel = (wants != Wants::default()).then(Arc::<Channel>::default);
        (ChannelHost { wants, channel: channel.clone() }, HostReceiver(channel))
    }

    /// Completes when there is something.
    pub async fn wanted(&self) {
        match &self.0 {
            Some(channel) => channel.wanted.notified().await,
            None => pending().await,
        }
    }

    /// What there is.
    pub fn take(&self) -> HostMessages {
        let Some(channel) = &self.0 else { return HostMessages::default() };
        std::mem::take(&mut *channel.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl AnswerSender {
    /// Answers; an error ends the call with kind `callback` and this as its source. A panic that was caught does likewise.
    pub(in crate::client) fn give(self, reply: Result<Result<Reply, BoxError>, Box<dyn Any + Send>>) {
        // The call may have ended by its deadline meanwhile.
        let _ = self.0.send(reply);
    }

    /// Answers; an error ends the call with kind `callback` and this as its source.
    pub fn reply(self, reply: Result<Reply, BoxError>) {
        self.give(Ok(reply));
    }
}

impl ChannelHost {
    fn put(&self, change: impl FnOnce(&mut HostMessages)) {
        if let Some(channel) = &self.channel {
            change(&mut channel.messages.lock().unwrap_or_else(PoisonError::into_inner));
            channel.wanted.notify_one();
        }
    }
}

impl Host for ChannelHost {
    fn wants(&self) -> Wants {
        self.wants
    }

    async fn ask(&mut self, question: Question) -> Result<Reply, BoxError> {
        let (sender, answer) = oneshot::channel();
        self.put(|messages| messages.question = Some((question, AnswerSender(sender))));
        match answer.await {
            Ok(Ok(reply)) => reply,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err("the question was dropped without an answer".into()),
        }
    }

    fn tell(&mut self, event: Event) {
        self.put(|messages| messages.events.push(event));
    }
}

impl fmt::Debug for HostReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostReceiver").finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelHost").field("wants", &self.wants).finish_non_exhaustive()
    }
}
