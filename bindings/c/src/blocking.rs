//! Blocking calls: the calling thread runs the call on a lane, and the caller's functions between two stretches.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use core_::Error;
use core_::client::{CallOptions, Cancel, ChannelHost, Client, HostMessages, HostReceiver, Lane, Request, Response, Wants};

use crate::body::{Outlet, Pull, Pulls, outlet};
use crate::ffi::Fault;
use crate::hooks::Hooks;
use crate::reading::{Stream, either};
use crate::request::reknock_request;
use crate::transfer::Transfers;

/// The functions of a call, and where its body asks for its pieces.
pub(crate) struct Functions {
    hooks: Hooks,
    outlet: Outlet,
    pulls: Pulls,
    /// Who is told of transfers, and what else cancels the call.
    transfers: Option<(Arc<Transfers>, Option<Cancel>)>,
}

/// Sends a call and reads the whole response.
pub(crate) fn send(client: &Client, request: Request, options: &CallOptions, mut functions: Functions) -> Result<Response, Error> {
    let lane = client.lane()?;
    let response = functions.run(&lane, |host| lane.send_with(request, options, host))?;
    lane.settle();
    Ok(response)
}

/// Sends a call; what is left to read once its head is there.
pub(crate) fn stream(client: &Client, request: Request, options: &CallOptions, mut functions: Functions) -> Result<OnLane, Error> {
    let lane = client.lane()?;
    let stream = functions.run(&lane, |host| lane.stream_with(request, options, host))?;
    let cancels = functions.transfers.and_then(|(transfers, theirs)| Some((transfers.cancel().clone(), theirs?)));
    Ok(OnLane { stream, lane: Some(lane), pulls: functions.pulls, cancels })
}

/// A body that is read on the lane of its call.
pub(crate) struct OnLane {
    // In this order: the lane closes what the stream leaves.
    pub(crate) stream: Stream,
    /// `None` once the body ended: another call may have it.
    lane: Option<Lane>,
    /// Of the request's body, which may still be going out.
    pulls: Pulls,
    /// The token that cancels reads, and the one that shall, too.
    cancels: Option<(Cancel, Cancel)>,
}

impl OnLane {
    /// The next piece; none at the end, nor once it is `over`: a function of the caller's gave it up.
    pub(crate) fn chunk(&mut self, over: impl Fn() -> bool) -> Result<Option<Bytes>, Error> {
        let Some(lane) = &self.lane else { return Ok(None) };
        let piece = match &self.cancels {
            None => serving(lane, &mut self.pulls, self.stream.chunk(), over)?,
            Some((own, theirs)) => serving(lane, &mut self.pulls, either(pin!(self.stream.chunk()), own, Some(theirs)), over)?,
        };
        let Some(piece) = piece else { return Ok(None) };
        self.lane = self.lane.take().and_then(|lane| lane.after(&piece));
        piece
    }
}

impl Functions {
    /// Those of a call, and what it sends.
    pub(crate) fn of(hooks: Hooks, request: &reknock_request, options: &mut CallOptions) -> Result<(Self, Request), Fault> {
        let (outlet, pulls) = outlet();
        let outgoing = request.outgoing(&outlet)?;
        // Listening for what cannot come would cost a wake-up at the end of each call.
        let pulls = (request.has_source() || hooks.listen()).then_some(pulls);
        let transfers = hooks.transfers(Cancel::new, &outlet).map(|transfers| {
            options.on_transfer = Some(transfers.listener());
            let theirs = options.cancel.replace(transfers.cancel().clone());
            (transfers, theirs)
        });
        Ok((Functions { hooks, outlet, pulls, transfers }, outgoing))
    }

    fn run<R, F>(&mut self, lane: &Lane, start: impl FnOnce(ChannelHost) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>>,
    {
        let Some((transfers, theirs)) = self.transfers.clone() else { return self.serve(lane, start) };
        let result = self.serve(lane, |host| {
            let call = start(host);
            async { transfers.during(pin!(call), theirs.as_ref()).await }
        });
        transfers.end();
        result
    }

    fn serve<R, F>(&mut self, lane: &Lane, start: impl FnOnce(ChannelHost) -> F) -> Result<R, Error>
    where
        F: Future<Output = Result<R, Error>>,
    {
        let (host, receiver) = HostReceiver::new(self.hooks.wants());
        let mut work = pin!(start(host));
        loop {
            let step = step(lane, work.as_mut(), &receiver, &mut self.pulls)?;
            let HostMessages { events, question } = receiver.take();
            events.iter().for_each(|event| self.hooks.observe(event));
            match step {
                Step::Done(result) => return result,
                Step::Messages => {}
                Step::Pull(pull) => pull.run(|| false),
            }
            if let Some((question, answer)) = question {
                answer.reply(self.hooks.answer(question, &self.outlet));
            }
        }
    }
}

/// Runs something that has no callbacks, and what the call's body asks for meanwhile. `None` once it is over.
fn serving<T>(lane: &Lane, pulls: &mut Pulls, work: impl Future<Output = T>, over: impl Fn() -> bool) -> Result<Option<T>, Error> {
    let (receiver, mut work) = (HostReceiver::new(Wants::default()).1, pin!(work));
    while !over() {
        match step(lane, work.as_mut(), &receiver, pulls)? {
            Step::Done(result) => return Ok(Some(result)),
            Step::Messages => {}
            Step::Pull(pull) => pull.run(&over),
        }
    }
    Ok(None)
}

enum Step<T> {
    Done(T),
    /// There is something on the receiver.
    Messages,
    Pull(Pull),
}

/// Runs the call until one of the caller's functions is to be run.
fn step<T>(lane: &Lane, work: impl Future<Output = T>, receiver: &HostReceiver, pulls: &mut Pulls) -> Result<Step<T>, Error> {
    lane.block_on(async {
        tokio::select! {
            biased;
            result = work => Step::Done(result),
            () = receiver.wanted() => Step::Messages,
            Some(pull) = pulled(pulls) => Step::Pull(pull),
        }
    })
}

async fn pulled(pulls: &mut Pulls) -> Option<Pull> {
    match pulls {
        Some(pulls) => pulls.recv().await,
        None => None,
    }
}
