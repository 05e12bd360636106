//! `explain`: what the policies of a file say, and which of them a request has.

use super::Finished;
use super::offline::{Chosen, Done, Refused, Word, next, text};

pub(super) fn run(arguments: &[String]) -> Done {
    let mut chosen = Chosen::default();
    let mut request = None;
    let mut parser = lexopt::Parser::from_args(arguments);
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::File(file) => chosen.files.push(file),
            Word::Option(name) if name == "--for" => {
                let mut words = text(&mut parser)?;
                // A method by itself has its URL behind it.
                if !words.contains("://") && !words.contains(' ') {
                    words = format!("{words} {}", text(&mut parser)?);
                }
                request = Some(words);
            }
            Word::Option(name) => chosen.option(&name, &mut parser)?,
        }
    }
    let file = chosen.one_file("explain")?;
    let out = match (request, &chosen.policy) {
        (Some(_), Some(_)) => return Err(Refused::Usage("--for chooses the policy: --policy does not go with it".to_owned())),
        (Some(request), None) => chosen.load_set(file)?.explain_for(&request)?,
        (None, None) => whole(file, &chosen)?,
        (None, Some(_)) => each(file, &chosen)?,
    };
    Ok(Finished { out, ..Finished::default() })
}

/// A set of ours has rules to tell of besides its policies.
fn whole(file: &str, chosen: &Chosen) -> Result<String, Refused> {
    let set = chosen.load_set(file)?;
    if set.is_of_ours() { Ok(set.explain()) } else { each(file, chosen) }
}

fn each(file: &str, chosen: &Chosen) -> Result<String, Refused> {
    let all = chosen.load(file)?;
    Ok(all.iter().map(crate::policy::Loaded::explain).collect::<Vec<_>>().join("\n"))
}
