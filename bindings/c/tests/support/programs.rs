//! Every C program there is, and what it is run with: to compile them all, and to run them all under a checker.

use std::path::Path;

use reknock_test_server::Script;
use serde_json::Value;

use super::{Scripts, policy};

/// One program, with the arguments it wants.
pub struct Program {
    pub source: &'static str,
    pub wants: &'static [Want],
    /// `$url` stands for its first argument.
    pub stdin: &'static str,
    /// What it needs besides this library, by the name of pkg-config.
    pub library: Option<&'static str>,
    /// A forked child leaks what is its parent's, on purpose.
    pub leaks: bool,
}

/// An argument.
pub enum Want {
    /// The URL of a script; its outcomes as JSON, where `$url:first` is the URL of the program's first script.
    Url(&'static str),
    /// The path of a file with the authority of the URL before.
    Authority,
    /// The URL where the server is told of scripts.
    Control,
    /// The path of a file with this text.
    File(&'static str, &'static str),
    /// The path of a file of so many bytes.
    Bytes(&'static str, usize),
    Text(&'static str),
}
use Want::{Authority, Bytes, Control, File, Text, Url};

const FINE: Want = Url(r#"[{"do": "status", "status": 200}]"#);
const TWO_LINES: Want = Url(r#"[{"do": "status", "status": 200, "headers": [["x-two", "first"], ["x-two", "second"]]}]"#);
const FLAKY: Want = Url(r#"[{"do": "status", "status": 503}, {"do": "status", "status": 200}]"#);
const FAILING: Want = Url(r#"[{"do": "status", "status": 503}]"#);
const SLOW: Want = Url(r#"[{"do": "hang"}]"#);
const LATE: Want = Url(r#"[{"do": "status", "status": 200, "delay": "20ms"}]"#);
const REFUSED: Want = Url(r#"[{"do": "refused"}]"#);
const ECHO: Want = Url(r#"[{"do": "echo"}]"#);
const RETRIED: Want = Url(r#"[{"do": "status", "status": 503}, {"do": "echo"}]"#);
const BIG: Want = Url(r#"[{"do": "status", "status": 503}, {"do": "status", "status": 200, "body_size": 3000000}]"#);
const LARGE: Want = Url(r#"[{"do": "status", "status": 200, "body_size": 3000000}]"#);
const HALF: Want = Url(r#"[{"do": "status", "status": 503}, {"do": "status", "status": 200, "body_size": 500000}]"#);
const CUT: Want = Url(r#"[{"do": "status", "status": 200, "body_size": 100, "body_mode": "truncate-fin", "after": 10}]"#);
const STALLED: Want = Url(r#"[{"do": "status", "status": 200, "body_size": 100, "body_mode": "stall", "after": 10}]"#);
const EARLY: Want = Url(r#"[{"do": "status", "status": 200, "body_size": 100000, "read_body": false}]"#);
const LOADING: Want =
    Url(r#"[{"do": "status", "status": 404, "body": "not ready"}, {"do": "status", "status": 503}, {"do": "status", "status": 200}]"#);

const REDIRECT: Want = Url(r#"[{"do": "redirect", "status": 307, "location": "$url/next"}, {"do": "status", "status": 200},
        {"do": "redirect", "status": 307, "location": "$url/next"}, {"do": "redirect", "status": 307, "location": "$url/next"},
        {"do": "redirect", "status": 307, "location": "$url/next"}, {"do": "status", "status": 200}]"#);
const COOKIES: Want = Url(r#"[{"do": "status", "status": 503, "headers": [["set-cookie", "a=1; Path=/"]]}, {"do": "echo"}]"#);
const SEE_OTHER: Want = Url(
    r#"[{"do": "redirect", "status": 303, "location": "$url/next"}, {"do": "status", "status": 503}, {"do": "status", "status": 200}]"#,
);
const LED_ASTRAY: Want = Url(r#"[{"do": "redirect", "status": 302, "location": "$url/next"}, {"do": "hang"},
        {"do": "redirect", "status": 302, "location": "$url/next"}, {"do": "hang"}]"#);
const BUSY_THERE: Want = Url(r#"[{"do": "redirect", "status": 303, "location": "$url/next"}, {"do": "status", "status": 429}]"#);
const AGAIN: Want = Url(r#"[{"do": "redirect", "status": 307, "location": "$url/next"}]"#);
const HALF_EARLY: Want =
    Url(r#"[{"do": "status", "status": 200, "body_size": 100, "body_mode": "stall", "after": 10, "read_body": false}]"#);
const THOUSAND: Want = Url(r#"[{"do": "status", "status": 200, "body_size": 1000}]"#);
const TLS: Want = Url(r#"{"tls": "trusted", "script": [{"do": "status", "status": 200}]}"#);
const DOWNGRADE: Want = Url(r#"{"tls": "trusted", "script": [{"do": "redirect", "status": 307, "location": "$url:first/"}]}"#);
const HTTP2: Want = Url(r#"{"http2": true, "script": [{"do": "status", "status": 200}]}"#);

const fn program(source: &'static str, wants: &'static [Want]) -> Program {
    Program { source, wants, stdin: "", library: None, leaks: false }
}

/// All of examples/c and tests/c.
pub const PROGRAMS: &[Program] = &[
    program("examples/c/get.c", &[FLAKY, File("get.yaml", "{backoff: {base: 10ms}}")]),
    program("examples/c/epoll.c", &[FLAKY, Text("100")]),
    program("examples/c/predicates.c", &[LOADING]),
    program("examples/c/machine.c", &[]),
    program("examples/c/explain.c", &[File("routes.yaml", ROUTES)]),
    program("examples/c/demo.c", &[Control]),
    Program { library: Some("libcurl"), ..program("examples/c/curl_easy.c", &[FLAKY, File("curl.yaml", "{backoff: 10ms}")]) },
    Program { library: Some("libcurl"), ..program("examples/c/curl_multi.c", &[FLAKY, Text("10")]) },
    Program {
        library: Some("libcurl"),
        ..program("tests/c/curl.c", &[FAILING, REFUSED, RETRIED, FAILING, SLOW, SEE_OTHER, LED_ASTRAY, AGAIN, BUSY_THERE])
    },
    Program {
        stdin: "$url\tGET\tfalse\t{\"backoff\": \"none\"}\t2\t\ttrue\t-1\t-1\t1\t-1\tfalse\tx-a\t1\n",
        library: Some("libcurl"),
        ..program("tests/c/curl_calls.c", &[FLAKY])
    },
    program("tests/c/misuse.c", &[FAILING, SLOW]),
    program("tests/c/call_functions.c", &[FAILING, LOADING, FLAKY, FLAKY]),
    program("tests/c/transfers.c", &[HALF, LARGE, SLOW, STALLED, HALF, LARGE, HALF]),
    program("tests/c/forms.c", &[ECHO, Bytes("part.txt", 10)]),
    program("tests/c/errors.c", &[REFUSED, TWO_LINES]),
    program("tests/c/watch.c", &[FAILING, File("watched.yaml", "")]),
    program("tests/c/async.c", &[FLAKY, SLOW, FLAKY, FLAKY, FLAKY]),
    program("tests/c/within.c", &[FAILING, SLOW, HALF_EARLY]),
    program("tests/c/threads.c", &[FINE, SLOW]),
    program("tests/c/stream.c", &[BIG, CUT, RETRIED, Bytes("body.txt", 140_000), STALLED, FINE]),
    program("tests/c/queue_stream.c", &[BIG, CUT, STALLED, REFUSED]),
    program("tests/c/upload.c", &[ECHO, RETRIED, RETRIED, RETRIED, RETRIED, RETRIED, EARLY, SLOW, LARGE]),
    program("tests/c/slow_bodies.c", &[ECHO, FINE]),
    program("tests/c/options.c", &[ECHO, REDIRECT, THOUSAND, TLS, Authority, HTTP2, DOWNGRADE, ECHO, FAILING, COOKIES]),
    program("tests/c/connections.c", &[LATE]),
    program("tests/c/cancelled.c", &[]),
    program("tests/c/sigpipe.c", &[FINE]),
    program("tests/c/shutdown.c", &[LARGE, SLOW, STALLED]),
    Program { leaks: true, ..program("tests/c/fork.c", &[HALF]) },
    program("tests/c/ktor.c", &[Text("event"), FLAKY, File("ktor.yaml", "HttpRequestRetry: true")]),
    Program {
        stdin: "$url\tPOST\tfalse\t{retry_policy: {retry_on: 5xx}}\t\t20000\ttrue\ttrue\n\n\
            $url\tPOST\tfalse\t{retry_policy: {}}\t{\"connect_timeout\": \"2s\"}\t5\tfalse\tfalse\tx-a\t1\n",
        ..program("tests/c/envoy_call.c", &[FLAKY])
    },
    Program {
        stdin: "$url\tPOST\tfalse\t{\"methods\": \"any\", \"backoff\": \"none\"}\t2\t\ttrue\t5\t1000\t1\t20000\ttrue\tx-a\t1\n",
        ..program("tests/c/calls.c", &[FLAKY])
    },
    Program {
        stdin: "policy\t\tyaml\t{max_retries: 3}\npolicy\t\tjson\t{\"max_retrys\": 3}\nload\t\tmax_retries: 4\nload\tktor\tHttpRequestRetry: true\n\
            envoy\t{retry_policy: {retry_on: 5xx}}\tx-envoy-max-retries\t3\nexpected\t{retry_policy: {}}\t0\nheader\t9\n",
        ..program("tests/c/vectors.c", &[])
    },
    Program {
        stdin: "policy\t{}\nbegin\t0\tGET\thttp://a\t0\t0\t0\nattempt\t0\t0\nresponse\t0\t503\t0\nbalance\thttp://a\t0\n",
        ..program("tests/c/vectors_machine.c", &[])
    },
];

/// Two routes of Envoy.
pub const ROUTES: &str = "
virtual_hosts:
- name: shop
  domains: ['*']
  routes:
  - name: orders
    match: {prefix: /orders}
    route: {cluster: a, retry_policy: {retry_on: 5xx, num_retries: 3}}
  - name: search
    match: {prefix: /}
    route: {cluster: b, retry_policy: {retry_on: reset}}
";

impl Program {
    /// The name of its file, without its ending.
    pub fn name(&self) -> &'static str {
        Path::new(self.source).file_stem().unwrap().to_str().unwrap()
    }

    /// What it reads, if it has these arguments.
    pub fn input(&self, arguments: &[String]) -> String {
        self.stdin.replace("$url", arguments.first().map_or("", String::as_str))
    }

    /// Its arguments, and the scripts that must live as long.
    pub fn arguments(&self, server: &Scripts) -> (Vec<String>, Vec<Script>) {
        let mut scripts = Vec::new();
        let mut argument = |want: &Want| match want {
            Url(outcomes) => {
                let outcomes = scripts
                    .first()
                    .map_or((*outcomes).to_owned(), |first: &Script| outcomes.replace(":first", &format!(":{}", first.id())));
                scripts.push(server.script(serde_json::from_str::<Value>(&outcomes).unwrap()));
                scripts.last().unwrap().url().to_owned()
            }
            Authority => {
                let ca = scripts.last().and_then(Script::ca).unwrap();
                policy(&format!("{}_ca.pem", self.name()), ca).to_str().unwrap().to_owned()
            }
            Control => server.control().to_owned(),
            // One per program: they run at the same time.
            File(name, text) => policy(&format!("{}_{name}", self.name()), text).to_str().unwrap().to_owned(),
            Bytes(name, size) => policy(&format!("{}_{name}", self.name()), &"x".repeat(*size)).to_str().unwrap().to_owned(),
            Text(text) => (*text).to_owned(),
        };
        (self.wants.iter().map(&mut argument).collect(), scripts)
    }
}
