//! The command lines of the packages: `python -m reknock` and `npx reknock` are one program in two languages. What needs no network runs here,
//! in the core, so that both print the same.

#[cfg(all(feature = "documents", feature = "simulate"))]
mod explain;
#[cfg(all(feature = "documents", feature = "simulate"))]
mod offline;

#[cfg(all(feature = "documents", feature = "simulate"))]
pub use offline::run;

/// What a command printed, and its exit status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// For stdout.
    pub out: String,
    /// For stderr.
    pub err: String,
    /// 0: all is well; 1: a gate failed; 2: it could not be done.
    pub status: u8,
}

/// The help of a command line that is called as `program`.
pub fn help(program: &str) -> String {
    format!(
        "\
usage: {program} get URL [-X METHOD] [-H 'NAME: VALUE']... [-d TEXT|@FILE] [--policy FILE] [--json]
       {program} explain FILE [--dialect NAME] [--policy NAME] [--for 'METHOD URL']
       {program} lint FILE [--processes N] [--one-purse] [--capacity N] [--fail-on LEVEL] [--format text|json|sarif]
       {program} simulate FILE... [--scenario NAME|FILE] [--seeds N] [--processes N] [--one-purse] [--json] [--html FILE]
       {program} policy convert FILE [--dialect NAME] [--policy NAME] [--set] [--format yaml|json]
       {program} --version | --help

get: send a request; the body goes to stdout, the timeline of its attempts to stderr
  -X, --method METHOD         the method (default: GET, or POST with -d)
  -H, --header 'NAME: VALUE'  a header field; may be repeated
  -d, --data TEXT|@FILE       the body
  --policy FILE               a policy: ours, or of any system that `explain` reads
  --json                      print one JSON object with the attempts instead
  exit status: 0 for a response below 400, 1 for any other, 2 for none

explain: tell what the policies of a file say, how long they wait, the worst that can happen; here and below the name of a preset
         (default, none, llm, envoy, ...) stands for a file of that policy
  --dialect NAME              whose words the file is written in, if it does not show
  --policy NAME               the policy of this name alone
  --for 'METHOD URL'          which rule a request meets, and the policy that it has

lint: tell what is provably true of the policies of a file, and which settings contradict each other or do harm
  --processes N               processes that will send with it (default 1)
  --one-purse                 they share one budget, as with share: host
  --capacity N                requests per second that the server can bear
  --fail-on LEVEL             note, warning or error (default error): from where on the exit status is 1
  --dialect, --policy         as for explain

simulate: run the policies of files through a scenario in virtual time
  --scenario NAME|FILE        spike (default), brown-out, outage, flapping, rate-limit, slow-start, batch, or a file
  --seeds N, --processes N    in place of the scenario's
  --one-purse                 the processes of a host share one budget, as with share: host
  --json                      print one JSON object per policy
  --html FILE                 write a page that compares the policies, with pictures
  exit status: 1 if a rule of the scenario's `expect` is broken

policy convert: write the policies of a file, of any system, as ours
  --set                       as one document: the policies, and rules that say which requests have them
  --format yaml|json          (default yaml)
"
    )
}

#[cfg(test)]
mod tests {
    use super::help;

    #[test]
    fn every_usage_names_the_program() {
        let help = help("some program");
        let usages = help.lines().take_while(|line| !line.is_empty());
        assert_eq!(usages.filter(|line| line.contains(" some program ")).count(), 6);
        assert!(help.lines().all(|line| line.len() <= 130) && help.ends_with("(default yaml)\n"));
    }
}
