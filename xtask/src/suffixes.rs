//! The public suffixes, as the crate `psl` brings them, for the core: domains in the form that hosts of URLs have.

use std::path::Path;
use std::process::Command;

use url::Host;

/// The list, with a head that says whose it is.
///
/// # Panics
/// If there is no such crate, or its list reads otherwise.
pub(crate) fn list() -> String {
    let metadata =
        Command::new("cargo").args(["metadata", "--locked", "--format-version=1"]).output().expect("cargo is there, it runs this");
    let metadata = String::from_utf8_lossy(&metadata.stdout);
    let manifests = metadata.split("\"manifest_path\":\"").filter_map(|rest| rest.split('"').next());
    let folder = manifests.filter_map(|path| Path::new(path).parent());
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = folder.into_iter().find(|folder| name(folder).starts_with("psl-2.")).expect("psl is a dependency of the core's tests");
    let rules = std::fs::read_to_string(folder.join("data/rules.txt")).expect("psl's list lies beside its code");
    let mut rules: Vec<String> = rules.lines().filter(|rule| !rule.is_empty()).map(ascii).collect();
    rules.sort_unstable();
    rules.dedup();
    format!(
        "The Public Suffix List (https://publicsuffix.org), Mozilla Public License 2.0 (https://mozilla.org/MPL/2.0/), as {} has it.\n\
         Written by cargo run -p xtask -- gen.\n\n{}\n",
        name(folder),
        rules.join("\n")
    )
}

fn ascii(rule: &str) -> String {
    let start = rule.find(|letter| !"!*.".contains(letter)).unwrap_or_default();
    let (mark, domain) = rule.split_at(start);
    format!("{mark}{}", Host::parse(domain).unwrap_or_else(|error| panic!("{rule}: {error}")))
}
