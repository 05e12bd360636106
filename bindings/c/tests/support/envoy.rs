//! Calls under routes of Envoy, made by processes of tests/c/envoy_call.c: a line each, many to a process.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use reknock_test_server::Script;
use serde_json::{Value, json};

use super::lines::{line, unescaped};
use super::{C99, Scripts, compile, libraries};

/// What one call is made of.
pub struct Call {
    pub http2: bool,
    pub method: String,
    pub route: Value,
    /// What is merged into the policy of the route.
    pub merged: &'static str,
    pub headers: Vec<(String, String)>,
    pub body_size: Option<u64>,
    pub stream: bool,
    /// Nothing is waited for before retries.
    pub leap: bool,
}

impl Call {
    /// One without a body; the keys of a case that all cases have.
    pub fn of(case: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let headers = case["request"]["headers"].as_array().map_or(&[][..], Vec::as_slice);
        Call {
            http2: false,
            method: text(&case["request"]["method"]),
            route: case["route"].clone(),
            merged: "",
            headers: headers.iter().map(|header| (text(&header[0]), text(&header[1]))).collect(),
            body_size: None,
            stream: false,
            leap: false,
        }
    }

    fn question(&self, script: &Script) -> String {
        let mut route = self.route.clone();
        // A document that holds a route: without a policy it has an empty one.
        route.as_object_mut().unwrap().entry("retry_policy").or_insert_with(|| json!({}));
        let (route, http2, stream, leap) = (route.to_string(), self.http2.to_string(), self.stream.to_string(), self.leap.to_string());
        let size = self.body_size.map_or("-1".to_owned(), |size| size.to_string());
        let mut fields = vec![script.url(), &self.method, &http2, &route, self.merged, &size, &stream, &leap];
        fields.extend(self.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
        line(&fields)
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    /// The response's status, or the kind of failure.
    pub status: String,
    pub stop: String,
    pub attempts: u64,
    /// Of the first attempt, in microseconds.
    pub hint: Option<u64>,
    /// Likewise; if it was leapt over, the one that the policy had.
    pub wait: Option<u64>,
}

/// A process.
pub struct Caller<'s> {
    server: &'s Scripts,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl<'s> Caller<'s> {
    fn start(server: &'s Scripts, program: &Path) -> Self {
        let mut command = Command::new("timeout");
        command.arg("300").arg(program).env("LD_LIBRARY_PATH", libraries());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Caller { server, child, stdin, stdout }
    }

    /// The server of its scripts.
    pub fn server(&self) -> &'s Scripts {
        self.server
    }

    /// Makes a call to a script of these outcomes.
    pub fn call(&mut self, call: &Call, outcomes: &Value) -> (Ended, Script) {
        let script = self.server.script(json!({"script": outcomes, "http2": call.http2}));
        self.stdin.write_all((call.question(&script) + "\n").as_bytes()).unwrap();
        let mut outcomes = outcomes.as_array().unwrap().iter().peekable();
        let mut planned = None;
        loop {
            let answer = self.answer();
            let field = |index: usize| answer[index].parse().ok();
            match answer[0].as_str() {
                "planned" => planned = planned.or(field(1)),
                "retry" => {
                    // The server does not see these attempts, and stays as it is until it is told; the last outcome stays.
                    let unseen = outcomes.next().is_some_and(|outcome| outcome["do"] == "refused" || outcome["do"] == "connect-timeout");
                    if unseen && outcomes.peek().is_some() {
                        self.server.advance(&script);
                    }
                    self.stdin.write_all(b"\n").unwrap();
                }
                word => {
                    assert_eq!((word, answer.len()), ("done", 6), "{answer:?}");
                    let (status, stop) = (answer[1].clone(), answer[2].clone());
                    let ended = Ended { status, stop, attempts: field(3).unwrap(), hint: field(4), wait: planned.or(field(5)) };
                    return (ended, script);
                }
            }
        }
    }

    fn answer(&mut self) -> Vec<String> {
        let mut text = String::new();
        self.stdout.read_line(&mut text).unwrap();
        assert!(text.ends_with('\n'), "the program ended: {:?}", self.child.wait());
        text.trim_end_matches('\n').split('\t').map(unescaped).collect()
    }

    fn finish(self) {
        let Caller { mut child, stdin, .. } = self;
        drop(stdin);
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

/// What is wrong with each case, in so many processes side by side; with how many cases ran.
pub fn each(
    cases: &[Value],
    name: &str,
    processes: usize,
    problem: impl Fn(&mut Caller<'_>, &Value) -> Option<String> + Sync,
) -> (usize, Vec<String>) {
    let server = super::scripts();
    let program = compile("tests/c/envoy_call.c", C99, name);
    let (next, ran, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| {
                let mut caller = Caller::start(&server, &program);
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = problem(&mut caller, case);
                    ran.fetch_add(1, Ordering::Relaxed);
                    wrong.lock().unwrap().extend(found);
                }
                caller.finish();
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    (ran.into_inner(), wrong)
}
