//! Where the file may lie and whose it may be; what is told where it cannot be had.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use reknock::client::testing::{Script, Step};
use reknock::client::{Client, ClientBuilder};
use reknock::retry::{BudgetReading, Share};
use reknock::{ErrorKind, Policy};

use crate::child::child;
use crate::{Place, SIXTY, client};

/// Why a client whose budget must be shared cannot be made.
fn refusal(directory: &Path) -> String {
    let error = client(SIXTY, directory).expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    let why = text.strip_prefix("share_required: the budget cannot be the host's: ").unwrap_or_else(|| panic!("{text}"));
    why.strip_prefix(&directory.display().to_string()).unwrap_or(why).to_owned()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn directories_are_ours_alone_or_refused() {
    let place = Place::new("directories");
    let budgets = place.budgets();
    client(SIXTY, &budgets).unwrap();
    assert_eq!(fs::metadata(&budgets).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    mode(&budgets, 0o750);
    assert_eq!(refusal(&budgets), ": is open to others (mode 750); chmod 700");
    mode(&budgets, 0o700);
    let link = place.0.join("link");
    symlink(&budgets, &link).unwrap();
    assert_eq!(refusal(&link), ": is not a directory");
    let file = place.0.join("file");
    fs::write(&file, "").unwrap();
    assert_eq!(refusal(&file), ": is not a directory");
    assert_eq!(refusal(&place.0.join("not/there")), ": cannot be made: No such file or directory (os error 2)");
    assert_eq!(refusal(Path::new("here")), ": must be an absolute path");
    // Not this user's: root can give it away, for others that of root is at hand.
    if std::os::unix::fs::chown(&budgets, Some(1), None).is_ok() {
        assert_eq!(refusal(&budgets), ": belongs to the user 1, and this is 0");
    } else {
        assert!(refusal(Path::new("/proc/1")).contains("belongs to the user 0"));
    }
}

#[test]
fn files_are_ours_and_whole_or_refused_or_made_anew() {
    let place = Place::new("files");
    let budgets = place.budgets();
    client(SIXTY, &budgets).unwrap();
    let (file, aside) = (place.file(), place.0.join("aside"));
    let name = format!("/{}", file.file_name().unwrap().to_str().unwrap());
    mode(&file, 0o644);
    assert!(refusal(&budgets).contains("is not this user's alone"));
    fs::rename(&file, &aside).unwrap();
    symlink(&aside, &file).unwrap();
    assert_eq!(refusal(&budgets), format!("{name}: is no regular file"));
    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(refusal(&budgets), format!("{name}: is no regular file"));
    fs::remove_file(&file).unwrap();
    // What is no file of budgets makes room for one.
    for content in [&b""[..], b"garbage", &vec![0; 1_576_960]] {
        fs::write(&file, content).unwrap();
        mode(&file, 0o600);
        client(SIXTY, &budgets).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), fs::metadata(&aside).unwrap().len());
        client(SIXTY, &budgets).unwrap();
    }
}

/// As a file system without room would.
#[test]
fn where_the_whole_file_has_no_room_there_is_none() {
    let place = Place::new("room");
    let budgets = place.budgets();
    let full = child(|| {
        // SAFETY: of this child alone.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let limit = libc::rlimit { rlim_cur: 100_000, rlim_max: 100_000 };
        // SAFETY: likewise.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
        i32::from(!refusal(&budgets).ends_with("cannot be made: File too large (os error 27)"))
    });
    full.join();
    assert_eq!(fs::read_dir(&budgets).unwrap().count(), 0, "nothing is left");
}

async fn reading<S: reknock::client::IntoTransport, C: reknock::client::Clock>(builder: ClientBuilder<S, C>) -> BudgetReading {
    let client = builder.policy(Policy::from_yaml(SIXTY).unwrap()).build().unwrap();
    client.get("http://service.test/").send().await.unwrap();
    client.budget("http://service.test/").unwrap()
}

#[tokio::test]
async fn what_cannot_be_shared_is_the_process_s_and_says_why() {
    let place = Place::new("alone");
    let script = || Script::new([Step::status(200).unwrap()]);
    let directory = place.0.join("not/there");
    let alone = reading(Client::on(script()).budget_dir(&directory)).await;
    let why = format!("{}: cannot be made: No such file or directory (os error 2)", directory.display());
    assert_eq!((alone.share, alone.path, alone.why, alone.balance), (Share::Process, None, Some(why), 60));
    let shared = reading(Client::on(script()).budget_dir(place.budgets())).await;
    assert_eq!((shared.share, shared.why, shared.balance), (Share::Host, None, 60));
    // Virtual time is nobody else's.
    let clock = script();
    let virtual_time = reading(Client::on(script()).clock(clock).budget_dir(place.budgets())).await;
    assert_eq!((virtual_time.share, virtual_time.why.as_deref()), (Share::Process, Some("the clock here is not the host's")));
}

/// Somebody tidies up: within a second of calls the next ones agree again on a file that is there.
#[tokio::test]
async fn a_file_that_lost_its_name_is_left() {
    let place = Place::new("lost");
    let policy = SIXTY.replace("ttl: 60s", "ttl: 1s");
    let make = || {
        let transport = Script::new([Step::status(200).unwrap()]);
        let builder = Client::on(transport).policy(Policy::from_yaml(&policy).unwrap());
        builder.budget_dir(place.budgets()).build().unwrap()
    };
    let (client, mut calls) = (make(), 0);
    client.get("http://service.test/").send().await.unwrap();
    let lost = place.file();
    fs::remove_file(&lost).unwrap();
    while !lost.exists() {
        client.get("http://service.test/").send().await.unwrap();
        tokio::task::yield_now().await;
        calls += 1;
        assert!(calls < 10_000_000, "nobody looks");
    }
    assert!(calls > 1, "nobody looks at each call");
    assert_eq!(client.budget("http://service.test/").unwrap().share, Share::Host);
}
