//! Credentials, and what callbacks edit: to whom they go when a call moves on.

use crate::support::{Scripted, Sent, Step, policy};
use reknock::client::{Attempt, Callbacks, Client, Request};
use serde_json::{Value as Json, json};

fn scripted(steps: impl IntoIterator<Item = Step>, document: &Json) -> (Scripted, Client<Scripted>) {
    let script = Scripted::new(steps);
    (script.clone(), Client::on(script).policy(policy(document)).build().unwrap())
}

fn to(status: u16, location: &str) -> Step {
    Step::status(status).header("location", location)
}

/// Of an attempt, or of the next hop, what was sent in `authorization`, line by line.
fn credentials(script: &Scripted) -> Vec<(String, Vec<String>)> {
    let lines = |sent: &Sent| sent.headers.get_all("authorization").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    script.sent().iter().map(|sent| (sent.url.clone(), lines(sent))).collect()
}

const BASIC: &str = "Basic dTpw";

#[tokio::test(start_paused = true)]
async fn the_callers_authorization_takes_the_place_of_the_urls() {
    let (script, client) = scripted([Step::status(200)], &json!({}));
    client.get("http://u:p@server.test/").send().await.unwrap();
    client.get("http://u:p@server.test/").header("Authorization", "mine").send().await.unwrap();
    client.get("http://u:p@server.test/").bearer_auth("token").send().await.unwrap();
    let mut request = Request::new("GET", "http://server.test/").unwrap();
    request.append_header("authorization", "mine").unwrap();
    request.set_url("http://u:p@server.test/").unwrap();
    client.send(request).await.unwrap();
    let lines: Vec<_> = credentials(&script).into_iter().map(|(_, lines)| lines).collect();
    assert_eq!(lines, [vec![BASIC], vec!["mine"], vec!["Bearer token"], vec!["mine"]]);
}

#[tokio::test(start_paused = true)]
async fn a_urls_credentials_go_to_no_other_origin() {
    let elsewhere = |url: &'static str| move |_: &Attempt, request: &mut Request| request.set_url(url);
    for (url, wanted) in [
        ("http://other.test/", vec![]),
        ("https://server.test/", vec![]),
        ("http://server.test:81/", vec![]),
        ("http://server.test/elsewhere", vec![BASIC]),
        ("http://v:q@server.test/", vec!["Basic djpx"]),
        ("http://v:q@other.test/", vec!["Basic djpx"]),
    ] {
        let (script, client) = scripted([Step::status(503), Step::status(200)], &json!({"backoff": "none"}));
        client.get("http://u:p@server.test/").callbacks(Callbacks::new().before_retry(elsewhere(url))).send().await.unwrap();
        let sent = credentials(&script);
        assert_eq!((&sent[0].1, &sent[1].1), (&vec![BASIC.to_owned()], &wanted.iter().map(|line| (*line).to_owned()).collect()), "{url}");

        let mut request = Request::new("GET", "http://u:p@server.test/").unwrap();
        request.set_url(url).unwrap();
        assert_eq!(request.headers().get_all("authorization").iter().collect::<Vec<_>>(), wanted, "{url}");
    }
    // What the caller has set himself is his business.
    let mut request = Request::new("GET", "http://u:p@server.test/").unwrap();
    request.set_header("authorization", "mine").unwrap();
    request.set_url("http://other.test/").unwrap();
    assert_eq!(request.headers()["authorization"], "mine");
}

/// The next hop is the request's own, from where the response came.
#[tokio::test(start_paused = true)]
async fn edits_of_a_retry_do_not_go_along_with_a_redirect() {
    let (script, client) = scripted([Step::status(503), to(307, "/next"), Step::status(200)], &json!({"backoff": "none"}));
    let edit = |_: &Attempt, request: &mut Request| {
        request.set_header("x-edited", "1")?;
        request.set_header("authorization", "edited")?;
        request.set_body("edited");
        request.set_url("http://other.test/there")
    };
    let call = client.put("http://server.test/here").header("authorization", "mine").body("own");
    call.callbacks(Callbacks::new().before_retry(edit)).send().await.unwrap();
    let sent = script.sent();
    assert_eq!(
        (&sent[1].headers["x-edited"], &sent[1].headers["authorization"], &sent[1].body[..]),
        (&"1".parse().unwrap(), &"edited".parse().unwrap(), &b"edited"[..])
    );
    assert_eq!((sent[2].url.as_str(), &sent[2].body[..]), ("http://other.test/next", &b"own"[..]));
    assert!(!sent[2].headers.contains_key("x-edited"), "edits do not accumulate");
    assert!(!sent[2].headers.contains_key("authorization"), "what is for one origin does not go to the one that the attempt was sent to");
}
