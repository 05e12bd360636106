//! What observers are told of a call, beside what was expected.

use std::sync::{Arc, Mutex};

use reknock::client::{Callbacks, EventKind};
use serde_json::Value as Json;

/// The events of a call, as vectors have them, and the line that its end is told in.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<(Vec<String>, String)>>);

impl Told {
    /// Listens where something is expected.
    pub fn listening(&self, expected: &Json) -> Callbacks {
        if !expected["events"].is_array() {
            return Callbacks::new();
        }
        let told = self.0.clone();
        Callbacks::new().on_event(move |event| {
            let mut told = told.lock().unwrap();
            let code = event.kind.code();
            let line = match &event.kind {
                EventKind::AttemptStart { attempt, .. } => format!("{code} {}", attempt.number),
                EventKind::Interim { number, status } => format!("{code} {number} {status}"),
                EventKind::AttemptEnd(attempt) => format!("{code} {} {}", attempt.number, attempt.outcome()),
                EventKind::Retry { attempt, reason } => format!("{code} {} {reason}", attempt.number),
                EventKind::Redirect { attempt, target } => format!("{code} {} {target}", attempt.number),
                EventKind::End { stop_reason, failed, .. } => {
                    told.1 = event.to_string();
                    format!("{code} {stop_reason}{}", if *failed { " failed" } else { "" })
                }
                other => format!("{other:?}"),
            };
            told.0.push(line);
        })
    }

    /// What differs. `{url}` is the script's; `{...}`: what differs from call to call.
    pub fn problem(&self, expected: &Json, url: &str) -> Option<String> {
        let (events, text) = &*self.0.lock().unwrap();
        let url = format!("{}/", url.trim_end_matches('/'));
        let wanted: Vec<String> =
            expected["events"].as_array()?.iter().map(|event| event.as_str().unwrap().replace("{url}", &url)).collect();
        if wanted != *events {
            return Some(format!("told {events:?} instead of {wanted:?}"));
        }
        let line = expected["text"].as_str().unwrap().replace("{url}", &url);
        let (before, after) = line.split_once("{...}").unwrap();
        let right = text.starts_with(before) && text.ends_with(after);
        (!right).then(|| format!("the end is told as {text:?} instead of {line:?}"))
    }
}
