//! Redirects: what is sent next, to whom, and with which secrets.

use std::time::Duration;

use crate::live::*;
use crate::support::{Scripted, Step, policy};
use reknock::client::{Body, Client, Cookies, Redirects};
use reknock::{ErrorKind, PolicySet, StopReason};
use reknock_test_server::{Arrival, Server};
use serde_json::{Value as Json, json};

const URL: &str = "http://server.test/a/b?q=1";
const SMALL: usize = 40_000;

fn scripted(steps: impl IntoIterator<Item = Step>, document: &Json) -> (Scripted, Client<Scripted>) {
    let script = Scripted::new(steps);
    (script.clone(), Client::on(script).policy(policy(document)).build().unwrap())
}

fn to(status: u16, location: &str) -> Step {
    Step::status(status).header("location", location)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    Nothing,
    Bytes,
    /// A one-shot stream within max_body_buffer.
    Recorded,
    /// One above it.
    Lost,
}

fn body(kind: Sent) -> Option<Body> {
    match kind {
        Sent::Nothing => None,
        Sent::Bytes => Some(pattern(SMALL).into()),
        Sent::Recorded => Some(once(&pattern(SMALL), Some(SMALL as u64))),
        Sent::Lost => Some(once(&pattern(2 * SMALL), None)),
    }
}

/// What must arrive next: method, whether with the body; `None` if the redirect is the result.
fn expected(status: u16, method: &str, sent: Sent) -> Option<(&str, bool)> {
    let next = match (status, method) {
        (301 | 302, "POST") => ("GET", false),
        (303, "HEAD") => ("HEAD", false),
        (303, _) => ("GET", false),
        (301 | 302 | 307 | 308, same) => (same, true),
        _ => return None,
    };
    (!next.1 || sent != Sent::Lost).then_some(next)
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    SameOrigin,
    OtherPort,
    OtherHost,
}

#[tokio::test]
async fn what_is_sent_next() {
    let server = Server::start().await.unwrap();
    let client = client(&json!({"max_body_buffer": 60000}));
    let mut cases = 0;
    for status in [300, 301, 302, 303, 304, 307, 308] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"] {
            for sent in [Sent::Nothing, Sent::Bytes, Sent::Recorded, Sent::Lost] {
                for place in [Place::SameOrigin, Place::OtherPort, Place::OtherHost] {
                    if method == "HEAD" && sent != Sent::Nothing {
                        continue;
                    }
                    case(&server, &client, status, method, sent, place).await;
                    cases += 1;
                }
            }
        }
    }
    crate::support::counted(cases, 7 * (5 * 4 + 1) * 3);
}

async fn case(server: &Server, client: &Client, status: u16, method: &str, sent: Sent, place: Place) {
    let what = format!("{status} {method} {sent:?} {place:?}");
    let other = server.script(json!([{"do": "status", "status": 200}])).await.unwrap();
    let location = match place {
        Place::SameOrigin => "/next?n=2".to_owned(),
        Place::OtherPort => format!("{}/next?n=2", other.url().trim_end_matches('/')),
        Place::OtherHost => format!("http://localhost:{}/next?n=2", other.port()),
    };
    let first =
        server.script(json!([{"do": "redirect", "status": status, "location": location}, {"do": "status", "status": 200}])).await.unwrap();
    let mut request = client
        .request(method, first.url())
        .header("authorization", "Bearer t")
        .header("cookie", "c=1")
        .header("content-type", "text/x")
        .header("content-language", "en")
        .header("x-custom", "kept");
    if let Some(body) = body(sent) {
        request = request.body(body);
    }
    let response = patient(request.send()).await.unwrap();

    let mut log = first.log();
    assert_eq!((log[0].method.as_str(), log[0].header("authorization")), (method, Some("Bearer t")), "{what}");
    let second = if place == Place::SameOrigin { log.drain(1..).next() } else { other.log().into_iter().next() };
    let Some((next_method, with_body)) = expected(status, method, sent) else {
        assert!(second.is_none(), "{what} {second:?} {}", response.explain());
        let gone = sent == Sent::Lost && matches!(status, 301 | 302 | 307 | 308);
        let reason = if gone { StopReason::BodyNotReplayable } else { StopReason::Completed };
        assert_eq!((response.status(), response.stop_reason(), response.attempts().len()), (status, reason, 1), "{what}");
        return;
    };
    assert_eq!((response.status(), response.attempts().len()), (200, 2), "{what}");
    assert_eq!((response.attempts()[0].hop, response.attempts()[1].hop), (0, 1), "{what}");
    let asked = if place == Place::SameOrigin { format!("{}/next?n=2", first.url().trim_end_matches('/')) } else { location };
    assert_eq!(response.url().as_str(), asked, "{what}");

    let next = second.expect(&what);
    assert_eq!((next.method.as_str(), next.target.as_str()), (next_method, "/next?n=2"), "{what}");
    let kept = place == Place::SameOrigin;
    assert_eq!((next.header("authorization").is_some(), next.header("cookie").is_some()), (kept, kept), "{what}");
    assert_eq!(next.header("x-custom"), Some("kept"), "{what}");
    // What is the same request as before keeps them.
    let described = with_body || (next_method == method && sent == Sent::Nothing);
    assert_eq!(next.header("content-type").is_some(), described, "{what}");
    assert_eq!(next.header("content-language").is_some(), described, "{what}");
    if with_body {
        assert_eq!((next.body_size, &next.body_sha256), (log[0].body_size, &log[0].body_sha256), "{what}");
    } else {
        assert_eq!((next.body_size, next.header("content-length"), next.header("transfer-encoding")), (0, None, None), "{what}");
    }
    let host =
        if place == Place::OtherHost { format!("localhost:{}", other.port()) } else { asked[7..].split('/').next().unwrap().to_owned() };
    assert_eq!(next.header("host"), Some(host.as_str()), "{what}");
}

#[tokio::test]
async fn from_https_to_http_only_when_allowed() {
    let server = Server::start().await.unwrap();
    let plain = server.script(json!([{"do": "echo"}])).await.unwrap();
    for allow_downgrade in [false, true] {
        let location = format!("$url:{}/next", plain.id());
        let tls =
            server.script(json!({"tls": "trusted", "script": [{"do": "redirect", "status": 302, "location": location}]})).await.unwrap();
        let client = Client::on(options(tls.ca())).redirects(Redirects { allow_downgrade, ..Redirects::default() }).build().unwrap();
        let response = patient(client.get(tls.url()).basic_auth("me", "pw").header("cookie", "c=1").send()).await.unwrap();
        if allow_downgrade {
            let arrival = &plain.log()[0];
            assert_eq!((response.status(), plain.log().len()), (200, 1));
            assert_eq!((arrival.header("authorization"), arrival.header("cookie")), (None, None), "a secret in the clear");
        } else {
            assert_eq!((response.status(), response.stop_reason(), plain.log().len()), (302, StopReason::Completed, 0));
        }
    }
    // The other way is always right; the scheme is part of the origin.
    let tls = server.script(json!({"tls": "trusted", "script": [{"do": "echo"}]})).await.unwrap();
    let up = server.script(json!([{"do": "redirect", "status": 301, "location": format!("$url:{}/up", tls.id())}])).await.unwrap();
    let client = Client::on(options(tls.ca())).build().unwrap();
    assert_eq!(patient(client.get(up.url()).bearer_auth("t").send()).await.unwrap().status(), 200);
    assert_eq!(tls.log()[0].header("authorization"), None);
}

#[tokio::test]
async fn a_post_answered_303_is_retried_as_the_get() {
    let server = Server::start().await.unwrap();
    let target = server.script(json!([{"do": "status", "status": 503}, {"do": "reset"}, {"do": "echo"}])).await.unwrap();
    let script = json!([{"do": "redirect", "status": 303, "location": format!("$url:{}/made/1", target.id())}]);
    let form = server.script(script).await.unwrap();
    let response = patient(client(&json!({})).post(form.url()).body("charge").send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.attempts().iter().map(|a| (a.hop, a.status)).collect::<Vec<_>>(),
        [(0, Some(303)), (1, Some(503)), (1, None), (1, Some(200))]
    );
    let methods = |log: Vec<Arrival>| log.iter().map(|arrival| (arrival.method.clone(), arrival.body_size)).collect::<Vec<_>>();
    assert_eq!(methods(form.log()), [("POST".to_owned(), 6)], "the POST is never repeated");
    assert_eq!(methods(target.log()), vec![("GET".to_owned(), 0); 3]);

    // Exhausted there: the last answer, and still one POST.
    let target = server.script(json!([{"do": "status", "status": 503}])).await.unwrap();
    let script = json!([{"do": "redirect", "status": 303, "location": format!("$url:{}/made/1", target.id())}]);
    let form = server.script(script).await.unwrap();
    let response = patient(client(&json!({})).post(form.url()).body("charge").send()).await.unwrap();
    assert_eq!((response.status(), response.stop_reason()), (503, StopReason::RetriesExhausted));
    assert_eq!((form.log().len(), target.log().len()), (1, 3), "sends <= max_retries + 1 + hops");
}

#[tokio::test(start_paused = true)]
async fn where_a_location_leads() {
    for (location, next) in [
        ("c", Some("http://server.test/a/c")),
        ("/c", Some("http://server.test/c")),
        ("../c?d=e", Some("http://server.test/c?d=e")),
        ("?d=e", Some("http://server.test/a/b?d=e")),
        ("//other.test/c", Some("http://other.test/c")),
        ("http://other.test", Some("http://other.test/")),
        ("HTTP://OTHER.test:80/c", Some("http://other.test/c")),
        ("https://other.test/c#d", Some("https://other.test/c")),
        ("/with space", Some("http://server.test/with%20space")),
        ("http://", None),
        ("http://[::1", None),
        ("http://other.test:99999/", None),
        ("ftp://other.test/c", None),
        ("javascript:alert(1)", None),
        ("file:///etc/passwd", None),
        ("data:,x", None),
        // Back to the same document.
        ("#part", None),
        ("", None),
    ] {
        let (script, client) = scripted([to(302, location), Step::status(200)], &json!({}));
        let response = client.get(URL).send().await.unwrap();
        let sent = script.sent().get(1).map(|sent| sent.url.clone());
        assert_eq!(sent.as_deref(), next, "{location:?}");
        assert_eq!(response.status(), if next.is_some() { 200 } else { 302 }, "{location:?}");
        if next.is_none() {
            assert_eq!(response.stop_reason(), StopReason::Completed, "{location:?}");
        }
    }
    let (script, client) = scripted([Step::status(302), Step::status(200)], &json!({}));
    assert_eq!((client.get(URL).send().await.unwrap().status(), script.sent().len()), (302, 1), "no location");
}

#[tokio::test(start_paused = true)]
async fn userinfo_of_a_location_is_for_that_hop_alone() {
    let (script, client) = scripted([to(302, "http://u:p@server.test/x"), to(302, "/y"), Step::status(200)], &json!({}));
    let response = client.get(URL).bearer_auth("mine").send().await.unwrap();
    let auth: Vec<_> = script.sent().iter().map(|sent| sent.headers.get("authorization").map(|v| v.to_str().unwrap().to_owned())).collect();
    assert_eq!(auth, [Some("Bearer mine".into()), Some("Basic dTpw".into()), None]);
    assert_eq!((script.sent()[1].url.as_str(), response.url().as_str()), ("http://server.test/x", "http://server.test/y"));
}

#[tokio::test(start_paused = true)]
async fn credentials_do_not_come_back() {
    let (script, client) = scripted([to(307, "http://other.test/"), to(307, URL), Step::status(200)], &json!({}));
    client.put(URL).bearer_auth("mine").header("host", "virtual.test").header("proxy-authorization", "p").send().await.unwrap();
    for sent in &script.sent()[1..] {
        for name in ["authorization", "host", "proxy-authorization"] {
            assert!(!sent.headers.contains_key(name), "{name} to {}", sent.url);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_and_off() {
    for (max, sends) in [(10, 11), (3, 4), (1, 2)] {
        let (script, client) = scripted([to(302, "/again")], &json!({}));
        let error = client.get(URL).redirects(Redirects { max, ..Redirects::default() }).send().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.status(), error.stop_reason()),
            (ErrorKind::TooManyRedirects, Some(302), Some(StopReason::NotRetryable))
        );
        assert_eq!((script.sent().len(), error.attempts().len()), (sends, sends));
        assert!(error.attempts().iter().enumerate().all(|(n, a)| a.hop as usize == n && a.status == Some(302)));
    }
    let (script, client) = scripted([to(302, "/again")], &json!({}));
    let response = client.get(URL).redirects(Redirects { max: 0, ..Redirects::default() }).send().await.unwrap();
    assert_eq!((response.status(), response.header("location"), script.sent().len()), (302, Some("/again"), 1));
    // Exactly as many as allowed is no error.
    let (_, client) = scripted([to(302, "/1"), to(302, "/2"), Step::status(200)], &json!({}));
    assert_eq!(client.get(URL).redirects(Redirects { max: 2, ..Redirects::default() }).send().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn retries_and_hops_add_up() {
    // Ktor 14-16: neither limit eats the other. A retry repeats only the hop that failed.
    let steps = [Step::status(503), to(302, "/1"), Step::status(503), to(307, "/2"), Step::status(200)];
    let (script, client) = scripted(steps, &json!({"max_retries": 2, "backoff": "1ms"}));
    let response = client.get(URL).send().await.unwrap();
    let paths: Vec<_> = script.sent().iter().map(|sent| sent.url.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(paths, ["b?q=1", "b?q=1", "1", "1", "2"]);
    assert_eq!((response.status(), response.attempts().len()), (200, 5));
    let hops: Vec<_> = response.attempts().iter().map(|a| (a.number, a.hop, a.wait.is_some())).collect();
    assert_eq!(hops, [(1, 0, true), (2, 0, false), (3, 1, true), (4, 1, false), (5, 2, false)]);

    let (script, client) = scripted([to(302, "/1"), Step::status(200)], &json!({"max_retries": 0}));
    assert_eq!((client.get(URL).send().await.unwrap().status(), script.sent().len()), (200, 2), "no retries, one redirect");
}

#[tokio::test(start_paused = true)]
async fn each_hop_has_its_own_time_and_pays_in_its_own_budget() {
    let ms = Duration::from_millis;
    let steps =
        [to(302, "/1").head(ms(900)), to(302, "http://other.test/2").head(ms(900)), Step::status(503).head(ms(900)), Step::status(200)];
    let document = json!({"per_try_timeout": "1s", "budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}, "backoff": "1ms"});
    let (_, client) = scripted(steps, &document);
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.elapsed()), (200, ms(2701)));
    let (first, second) = (client.budget("http://server.test").unwrap(), client.budget("http://other.test").unwrap());
    assert_eq!((first.deposits, first.withdrawals, first.balance), (2, 0, 2));
    assert_eq!((second.deposits, second.withdrawals, second.balance), (1, 1, 0));
}

/// What each send carries as its cookies.
async fn cookies(jar: &Cookies, steps: impl IntoIterator<Item = Step>, url: &str) -> Vec<Option<String>> {
    let script = Scripted::new(steps);
    let document = json!({"backoff": "1ms", "budget": "none"});
    let client = Client::on(script.clone()).policy(policy(&document)).cookies(jar.clone()).build().unwrap();
    client.get(url).send().await.unwrap();
    let line = |headers: &http::HeaderMap| headers.get("cookie").map(|line| line.to_str().unwrap().to_owned());
    script.sent().iter().map(|sent| line(&sent.headers)).collect()
}

#[tokio::test(start_paused = true)]
async fn cookies_come_back_from_retries_and_hops_and_go_where_they_belong() {
    let jar = Cookies::new();
    jar.set("mine", "1").unwrap();
    let steps = [
        Step::status(503).header("set-cookie", "a=1; Path=/"),
        to(302, "/c").header("set-cookie", "b=2; Path=/").header("set-cookie", "a=; Max-Age=0; Path=/"),
        to(302, "http://other.test/"),
        Step::status(200).header("set-cookie", "c=3"),
    ];
    let told = ["mine=1", "a=1; mine=1", "b=2; mine=1"].map(|line| Some(line.to_owned()));
    assert_eq!(cookies(&jar, steps, URL).await, [&told[..], &[None]].concat(), "those without a domain are not for where redirects lead");
    assert_eq!(cookies(&jar, [Step::status(200)], "http://other.test/x").await, [Some("c=3; mine=1".to_owned())]);
    assert_eq!(jar.list().iter().map(|cookie| &*cookie.name).collect::<Vec<_>>(), ["mine", "c", "b"]);
}

/// The rules of a set are asked once, by the call's first URL and by what the client adds to its header fields.
#[tokio::test]
async fn the_policy_of_a_set_is_that_of_the_first_url() {
    let set = PolicySet::read(
        "policies: {patient: {max_retries: 3, backoff: none}, rest: {max_retries: 0}}\n\
         rules: [{match: {host: server.test, path: {segment: /a}, headers: [x-tier]}, policy: patient}]\ndefault: rest\n",
        None,
    );
    let script = Scripted::new([to(307, "http://other.test/c"), Step::status(503)]);
    let client = Client::on(script.clone()).header("x-tier", "gold").policy(set.unwrap()).build().unwrap();
    let response = client.get(URL).send().await.unwrap();
    assert_eq!((response.status(), response.attempts().len()), (503, 5), "one hop and three retries of the next");
    assert_eq!(client.get("http://other.test/a").send().await.unwrap().attempts().len(), 1, "no rule is for it");
    let request = client.get(URL).build().unwrap();
    assert_eq!((client.policy_for(&request).max_retries(), client.policy().max_retries()), (3, 0));
    let once = client.get(URL).policy(client.policy_for(&request).merge(&reknock::policy::Value::from([("max_retries", 1)])).unwrap());
    assert_eq!(once.send().await.unwrap().attempts().len(), 2, "a call's own policy");
}
