//! What can be tried with the crate alone, as it is packaged: no server, no vectors, no waiting.
#![cfg(all(feature = "client", feature = "documents"))]

use std::time::Duration;

use reknock::client::Client;
use reknock::client::testing::{Script, Step};
use reknock::{Error, ErrorKind, Policy, StopReason};

fn client(steps: &[&str], policy: &str) -> Result<(Client<Script, Script>, Script), Error> {
    let steps = steps.iter().map(|name| name.parse().map_or_else(|_| Step::named(name), Step::status));
    let script = Script::new(steps.collect::<Result<Vec<_>, Error>>()?);
    let client = Client::on(script.clone()).clock(script.clone()).policy(Policy::from_yaml(policy)?).build()?;
    Ok((client, script))
}

#[tokio::test]
async fn a_call_is_retried_and_tells_why() -> Result<(), Error> {
    let (client, script) = client(&["503", "reset", "200"], "backoff: {kind: constant, delay: 1h}\ntimeout: none")?;
    let response = client.get("http://service.test/").send().await?;
    assert_eq!((response.status(), response.attempts().len(), response.stop_reason()), (200, 3, StopReason::Completed));
    assert_eq!(script.waits(), [Duration::from_secs(3600); 2]);
    assert!(response.explain().contains("#2 reset"), "{}", response.explain());
    Ok(())
}

#[tokio::test]
async fn what_may_have_been_done_is_not_repeated() -> Result<(), Error> {
    let (client, _) = client(&["reset", "200"], "{}")?;
    let error = client.post("http://service.test/").body("order").send().await.expect_err("it was sent once");
    assert_eq!((error.kind(), error.stop_reason()), (ErrorKind::Reset, Some(StopReason::NotIdempotent)));
    Ok(())
}

#[test]
fn a_mistake_in_a_policy_names_its_fix() {
    let error = Policy::from_yaml("max_attempts: 3").expect_err("no such key");
    assert!(error.to_string().contains("max_retries"), "{error}");
}
