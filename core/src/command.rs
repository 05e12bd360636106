//! What the command lines of the packages say of themselves: `python -m reknock` and `npx reknock` are one program in two languages.

/// The help of a command line that is called as `program`.
pub fn help(program: &str) -> String {
    format!(
        "\
usage: {program} get URL [-X METHOD] [-H 'NAME: VALUE']... [-d TEXT|@FILE] [--policy FILE] [--json]
       {program} explain FILE [--dialect NAME] [--policy NAME]
       {program} --version | --help

get: send a request; the body goes to stdout, the timeline of its attempts to stderr
  -X, --method METHOD         the method (default: GET, or POST with -d)
  -H, --header 'NAME: VALUE'  a header field; may be repeated
  -d, --data TEXT|@FILE       the body
  --policy FILE               a policy: ours, or of Envoy, kgateway, linkerd, Ballerina or Ktor
  --json                      print one JSON object with the attempts instead
  exit status: 0 for a response below 400, 1 for any other, 2 for none

explain: tell what the policies of a file say, how long they wait, the worst that can happen
  --dialect NAME              whose words the file is written in, if it does not show
  --policy NAME               the policy of this name alone
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
        assert_eq!(usages.filter(|line| line.contains(" some program ")).count(), 3);
        assert!(help.lines().all(|line| line.len() <= 120) && help.ends_with("alone\n"));
    }
}
