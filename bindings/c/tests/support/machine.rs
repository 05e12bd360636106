//! A conversation with tests/c/vectors_machine.c about the decision machine.

use serde_json::Value;

use super::lines::{answers, line};

/// 2026-11-22T12:00:00Z
pub const WALL_MS: &str = "1795348800000";

/// A conversation with the program: what is said, and what must be answered where that matters.
#[derive(Default)]
pub struct Script {
    questions: Vec<String>,
    wanted: Vec<Option<(Wanted, String)>>,
}

#[derive(Debug)]
enum Wanted {
    Text(String),
    /// Of what a call tells: the stop reason and the explanation.
    Told(String, String),
    /// A retry after so many milliseconds, to half of one or a millionth.
    Wait(f64),
}

impl Wanted {
    fn is(&self, answer: &str) -> bool {
        match self {
            Wanted::Text(text) => text == answer,
            Wanted::Told(reason, explained) => answer.starts_with(&format!("{reason}\t")) && answer.ends_with(&format!("\t{explained}")),
            Wanted::Wait(ms) => {
                let wait = answer.strip_prefix("retry\t").and_then(|ns| ns.parse::<f64>().ok());
                wait.is_some_and(|ns| (ns / 1e6 - ms).abs() <= 0.5_f64.max(ms * 1e-6))
            }
        }
    }
}

impl Script {
    /// Says something whose answer does not matter, unless it is a refusal.
    pub fn say(&mut self, fields: &[&str]) {
        self.questions.push(line(fields));
        self.wanted.push(None);
    }

    /// Says something that must be answered like this. `about` is told if it is not.
    pub fn expect(&mut self, fields: &[&str], answer: String, about: String) {
        self.questions.push(line(fields));
        self.wanted.push(Some((Wanted::Text(answer), about)));
    }

    /// Says something that must be answered by this stop reason and this explanation.
    pub fn told(&mut self, fields: &[&str], reason: &str, explained: &str, about: &str) {
        self.questions.push(line(fields));
        self.wanted.push(Some((Wanted::Told(reason.to_owned(), explained.to_owned()), about.to_owned())));
    }

    /// One retry after another of a call with this seed; each of these waits is near what must be, if it is told.
    pub fn retries(&mut self, seed: &str, waits: impl IntoIterator<Item = Option<f64>>, about: &Value) {
        self.say(&["begin", "0", "GET", "http://a", "0", "0", "0", seed]);
        for (wait, retry) in waits.into_iter().zip(1..) {
            self.answered("0", "503", "0");
            self.questions.push(line(&decide("0", "0")));
            self.wanted.push(wait.map(|ms| (Wanted::Wait(ms), format!("{about}, retry {retry}"))));
        }
        self.say(&["free", "0"]);
    }

    pub fn run(self, name: &str) {
        let answers = answers("tests/c/vectors_machine.c", name, &self.questions);
        let all = self.wanted.iter().zip(&answers).filter_map(|(wanted, answer)| Some((wanted.as_ref()?, answer.join("\t"))));
        let wrong: Vec<_> = all.filter(|((wanted, _), answer)| !wanted.is(answer)).collect();
        let mut unasked = self.questions.iter().zip(&self.wanted).zip(&answers).filter(|((_, wanted), _)| wanted.is_none());
        let refused = unasked.find(|(_, answer)| answer[0] == "wrong");
        assert!(refused.is_none(), "{refused:?}");
        assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
    }

    pub fn policy(&mut self, policy: &Value) {
        self.expect(&["policy", &policy.to_string()], "ok".to_owned(), policy.to_string());
    }

    pub fn begin(&mut self, call: &str, now: &str) {
        self.say(&["begin", call, "GET", "http://a", "0", "0", now]);
    }

    /// An attempt that the server answers with this status.
    pub fn answered(&mut self, call: &str, status: &str, now: &str) {
        self.say(&["attempt", call, now]);
        self.say(&["response", call, status, WALL_MS, now]);
    }
}

pub const DEFAULT: [&str; 4] = ["0", "0", "-1", "1"];

/// The fields of a decision without callbacks.
pub fn decide<'f>(call: &'f str, now: &'f str) -> Vec<&'f str> {
    [&["decide", call][..], &DEFAULT, &[now]].concat()
}

pub fn ns(ms: f64) -> String {
    format!("{:.0}", ms * 1e6)
}
