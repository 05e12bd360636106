//! A middleware for reqwest-middleware. What `next` sends lives no longer than the call, so no layer goes around it: this is the loop itself, around the
//! machine's driver. The original error comes back as it was, and the response with what was sent among its extensions.

use std::sync::Arc;

use http::Extensions;
use reknock::client::{Clock, TokioClock, entropy, minted_key, process_budgets};
use reknock::retry::driver::{Driver, Options, Target};
use reknock::retry::{Answer, Budgets, Decision, Outcome};
use reknock::tower::{Classify, KnownErrors};
use reknock::{AttemptRecord, Policy, StopReason};
use reqwest::{Request, Response};
use reqwest_middleware::{Error, Middleware, Next, Result};

/// What was sent in a call, and why nothing further was.
#[derive(Clone, Debug)]
pub struct Sent {
    /// In order.
    pub attempts: Vec<AttemptRecord>,
    /// Why nothing further was sent.
    pub stop_reason: Option<StopReason>,
}

/// `ClientBuilder::new(client).with(Retries::new(policy))`. Build the client with `.retry(reqwest::retry::never())`, and with
/// `.redirect(reqwest::redirect::Policy::none())` if requests that must not be sent twice may be redirected: see `ReqwestService`.
pub struct Retries {
    policy: Policy,
    budgets: Arc<Budgets>,
}

impl Retries {
    /// With this policy, and budgets of its own.
    pub fn new(policy: Policy) -> Self {
        Retries { policy, budgets: Arc::new(process_budgets()) }
    }

    fn begin(&self, request: &Request) -> Result<Driver> {
        let target = Target { headers: request.headers(), ..Target::new(request.method().as_str(), request.url().as_str()) };
        let minted_key = minted_key(&self.policy, target.method, target.carries_key());
        let options = Options { budgets: Some(Arc::clone(&self.budgets)), minted_key, entropy: entropy(), ..Options::default() };
        Driver::begin(&self.policy, target, options, TokioClock.now()).map_err(Error::middleware)
    }
}

#[async_trait::async_trait]
impl Middleware for Retries {
    async fn handle(&self, mut request: Request, extensions: &mut Extensions, next: Next<'_>) -> Result<Response> {
        let mut driver = self.begin(&request)?;
        loop {
            driver.attempt(TokioClock.now()).map_err(Error::middleware)?;
            for (name, value) in driver.headers() {
                let name = http::HeaderName::try_from(name).map_err(Error::middleware)?;
                request.headers_mut().insert(name, http::HeaderValue::try_from(value).map_err(Error::middleware)?);
            }
            // A body that streams is not cloned: it is sent once.
            let again = request.try_clone();
            let limits = driver.limits(TokioClock.now());
            let limits = limits.into_iter().flat_map(|limits| [limits.per_try_timeout, limits.remaining]);
            *request.timeout_mut() = limits.chain([request.timeout().copied()]).flatten().min();
            let url = request.url().clone();
            let ended = next.clone().run(request, extensions).await;
            let outcome = match &ended {
                Ok(response) => Outcome::Response { status: response.status().as_u16(), headers: response.headers() },
                Err(error) => match KnownErrors.failure(error).and_then(|failure| Some((failure.kind?, failure))) {
                    Some((kind, failure)) => Outcome::Failure { kind, evidence: failure.evidence, local: failure.local },
                    None => Outcome::Foreign { evidence: reknock::Evidence::Unknown },
                },
            };
            let _ = driver.classify(outcome, None, TokioClock.wall(), TokioClock.now()).map_err(Error::middleware)?;
            // What refuses after a redirect says nothing of what was redirected.
            if ended.as_ref().is_ok_and(|response| *response.url() != url) {
                driver.followed().map_err(Error::middleware)?;
            }
            let decision = driver.decide(Answer::default(), again.is_some(), TokioClock.now()).map_err(Error::middleware)?;
            match (decision, again) {
                (Decision::Retry { wait }, Some(again)) => {
                    TokioClock.pause_until(TokioClock.now().after(wait)).await;
                    request = again;
                }
                _ => {
                    driver.finish(TokioClock.now());
                    let sent = Sent { attempts: driver.records().to_vec(), stop_reason: driver.stop_reason() };
                    return ended.map(|mut response| {
                        response.extensions_mut().insert(sent);
                        response
                    });
                }
            }
        }
    }
}
