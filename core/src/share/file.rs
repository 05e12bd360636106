//! The file of a host's purses: where it lies, whose it may be, how it is made, locked and lost.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::event::{Timespec, poll};
use rustix::fs::{self, AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, pread, pwrite};
use rustix::process::geteuid;

use super::map::Map;
use super::table::{BYTES, HEADER, Key, Place, Table};
use crate::time::Tick;

/// How long others may hold the lock: they need microseconds, but may be stopped.
const LOCK_TRIES: u32 = 5_000;
const LOCK_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
/// How often it is looked whether the file still has its name.
const LOOK: Duration = Duration::from_secs(1);

/// A file of purses that is open.
#[derive(Debug)]
pub(super) struct Shared {
    map: Map,
    file: OwnedFd,
    path: String,
    clock: fn() -> Tick,
    looked: AtomicU64,
    lost: AtomicBool,
}

impl Shared {
    /// The file of this boot in `directory`, both made if they are not there.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn open(directory: &Path, clock: fn() -> Tick) -> Result<Self, String> {
        let shown = directory.display();
        if !directory.is_absolute() {
            return Err(format!("{shown}: must be an absolute path"));
        }
        let folder = open_directory(directory).map_err(|why| format!("{shown}: {why}"))?;
        let name = name()?;
        let path = format!("{shown}/{name}");
        let opened = open_file(&folder, &name).map_err(|why| format!("{path}: {why}"))?;
        let map = Map::new(&opened, BYTES).map_err(|error| format!("{path}: cannot be mapped: {error}"))?;
        Ok(Shared { map, file: opened, path, clock, looked: AtomicU64::new(clock().nanos()), lost: AtomicBool::new(false) })
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    pub fn table(&self) -> Table<'_> {
        Table(self.map.words())
    }

    /// The host's clock.
    pub fn now(&self) -> Tick {
        (self.clock)()
    }

    /// The purse of a key, made if there is none; nothing if there is no room for it.
    ///
    /// # Errors
    /// Others have the lock for longer than they can need it.
    pub fn find_or_make(&self, key: &Key) -> Result<Option<Place>, String> {
        if let Some(place) = self.table().find(key) {
            return Ok(Some(place));
        }
        // A description of its own: threads share the other one, and so would forked children.
        let again = fs::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| format!("{}: cannot be opened again: {errno}", self.path))?;
        lock(&again).map_err(|why| format!("{}: {why}", self.path))?;
        Ok(self.table().find_or_make(key, self.now().nanos()))
    }

    /// Once a second: a file that lost its name is found by nobody any more.
    pub fn look(&self) {
        let (now, looked) = (self.now(), Tick(self.looked.load(Relaxed)));
        if now.since(looked) >= LOOK {
            self.looked.store(now.nanos(), Relaxed);
            if fs::fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 0) {
                self.lost.store(true, Relaxed);
            }
        }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }
}

/// One file per boot and per offset of the clock.
fn name() -> Result<String, String> {
    const BOOT: &str = "/proc/sys/kernel/random/boot_id";
    let boot = std::fs::read_to_string(BOOT).map_err(|error| format!("{BOOT}: {error}"))?;
    // A kernel that knows no such namespaces has one clock.
    let clock = fs::stat("/proc/self/ns/time").map_or(0, |stat| stat.st_ino);
    Ok(format!("b1-{}-{clock}", boot.trim()))
}

fn open_directory(path: &Path) -> Result<OwnedFd, String> {
    match fs::mkdirat(CWD, path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(format!("cannot be made: {errno}")),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOTDIR | Errno::LOOP => "is not a directory".to_owned(),
        errno => format!("cannot be opened: {errno}"),
    })?;
    let stat = fs::fstat(&directory).map_err(|errno| errno.to_string())?;
    if stat.st_uid != geteuid().as_raw() {
        return Err(format!("belongs to the user {}, and this is {}", stat.st_uid, geteuid().as_raw()));
    }
    match stat.st_mode & 0o077 {
        0 => Ok(directory),
        _ => Err(format!("is open to others (mode {:o}); chmod 700", stat.st_mode & 0o7777)),
    }
}

/// There is none, or a whole one: it is made without a name.
fn open_file(folder: &OwnedFd, name: &str) -> Result<OwnedFd, String> {
    for _ in 0..100 {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match fs::openat(folder, name, flags, Mode::empty()) {
            Ok(file) if is_whole(&file)? => return Ok(file),
            Ok(file) => remove(folder, name, &file)?,
            Err(Errno::NOENT) => match make(folder, name) {
                Err(Some(why)) => return Err(why),
                Ok(file) => return Ok(file),
                Err(None) => {}
            },
            Err(Errno::LOOP | Errno::NXIO) => return Err("is no regular file".to_owned()),
            Err(errno) => return Err(format!("cannot be opened: {errno}")),
        }
    }
    Err("is made and removed by others all the time".to_owned())
}

/// Whether it is a file of purses. One that others can write or read is not touched.
fn is_whole(file: &OwnedFd) -> Result<bool, String> {
    let stat = fs::fstat(file).map_err(|errno| errno.to_string())?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("is no regular file".to_owned());
    }
    if stat.st_uid != geteuid().as_raw() || stat.st_mode & 0o7777 != 0o600 {
        return Err(format!("is not this user's alone (user {}, mode {:o})", stat.st_uid, stat.st_mode & 0o7777));
    }
    let mut header = [0; HEADER.len() * 8];
    let read = pread(file, &mut header, 0).map_err(|errno| errno.to_string())?;
    Ok(read == header.len() && header == header_bytes() && stat.st_size as u64 == BYTES as u64)
}

fn header_bytes() -> [u8; HEADER.len() * 8] {
    let mut bytes = [0; HEADER.len() * 8];
    bytes.chunks_mut(8).zip(HEADER).for_each(|(bytes, word)| bytes.copy_from_slice(&word.to_ne_bytes()));
    bytes
}

/// Makes room for a new one in place of this, which is no file of purses; who has it open notices that it lost its name.
fn remove(folder: &OwnedFd, name: &str, file: &OwnedFd) -> Result<(), String> {
    lock(file)?;
    // Others may have done it.
    let (seen, ours) = (fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW), fs::fstat(file));
    if let (Ok(seen), Ok(ours)) = (seen, ours)
        && (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino)
    {
        return fs::unlinkat(folder, name, AtFlags::empty()).map_err(|errno| format!("cannot be removed: {errno}"));
    }
    Ok(())
}

/// A new file. `Err(None)`: somebody else was faster.
fn make(folder: &OwnedFd, name: &str) -> Result<OwnedFd, Option<String>> {
    let fault = |errno: Errno| Some(format!("cannot be made: {errno}"));
    let file = fs::openat(folder, ".", OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR).map_err(fault)?;
    // Whatever the mask of the process says.
    fs::fchmod(&file, Mode::RUSR | Mode::WUSR).map_err(fault)?;
    // All of it: to write where a full file system has no room for it would be a SIGBUS.
    fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES as u64).map_err(fault)?;
    pwrite(&file, &header_bytes(), 0).map_err(fault)?;
    match fs::linkat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), folder, name, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(file),
        Err(Errno::EXIST) => Err(None),
        Err(errno) => Err(fault(errno)),
    }
}

/// Until it is closed. It ends with the process that has it, too.
fn lock(file: &OwnedFd) -> Result<(), String> {
    for _ in 0..LOCK_TRIES {
        match fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) => drop(poll(&mut [], Some(&LOCK_WAIT))),
            Err(errno) => return Err(format!("cannot be locked: {errno}")),
        }
    }
    Err("is locked for longer than anybody needs; a process that has it may be stopped".to_owned())
}
