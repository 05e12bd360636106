//! What every entry does: catch panics, check pointers, read structs of another version.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use core_::{BoxError, Error, ErrorKind};

use crate::error::{REKNOCK_OK, reknock_error, reknock_status};
use crate::thread::Uncancelled;

/// Why an entry failed.
pub(crate) enum Fault {
    /// The caller broke the contract of the function.
    Argument(String),
    /// The core said no.
    Core(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Core(error)
    }
}

/// As the source of another error.
impl From<Fault> for BoxError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Argument(message) => message.into(),
            Fault::Core(error) => error.into(),
        }
    }
}

/// The body of a function that can fail. A panic in it is `internal`.
pub(crate) fn entry(error: Option<&mut MaybeUninit<*mut reknock_error>>, body: impl FnOnce() -> Result<(), Fault>) -> reknock_status {
    let _uncancelled = Uncancelled::here();
    let outcome = catch_unwind(AssertUnwindSafe(body));
    let fault = match outcome {
        Ok(Ok(())) => return REKNOCK_OK,
        Ok(Err(fault)) => fault,
        Err(_) => Fault::Core(Error::new(ErrorKind::Internal, "the library panicked; please report it")),
    };
    let made = reknock_error::of(fault);
    let status = made.status();
    if let Some(error) = error {
        error.write(Box::into_raw(Box::new(made)));
    }
    status
}

/// The body of a function that cannot fail; what it gives after a panic is `otherwise`.
pub(crate) fn plain<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    let _uncancelled = Uncancelled::here();
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// An argument that must not be NULL.
pub(crate) fn given<T>(argument: Option<T>, name: &str) -> Result<T, Fault> {
    argument.ok_or_else(|| Fault::Argument(format!("{name}: must not be NULL")))
}

/// A place to write a new handle to, once it is there.
pub(crate) fn put<T>(place: &mut MaybeUninit<*mut T>, value: T) {
    place.write(Box::into_raw(Box::new(value)));
}

/// A NUL-terminated text.
///
/// # Safety
/// NULL, or a NUL-terminated string that outlives `'a` unchanged.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Fault> {
    let pointer = given((!pointer.is_null()).then_some(pointer), name)?;
    // SAFETY: not NULL, and NUL-terminated by the contract.
    unsafe { CStr::from_ptr(pointer) }.to_str().map_err(|_| Fault::Argument(format!("{name}: must be UTF-8")))
}

/// `length` bytes. NULL is allowed where there are none.
///
/// # Safety
/// `pointer` is NULL or has `length` readable bytes that outlive `'a` unchanged.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize, name: &str) -> Result<&'a [u8], Fault> {
    // SAFETY: a byte array has no alignment and no invalid values.
    unsafe { list(pointer, length, name) }
}

/// `count` items. NULL is allowed where there are none.
///
/// # Safety
/// `pointer` is NULL or has `count` readable items that outlive `'a` unchanged.
pub(crate) unsafe fn list<'a, T>(pointer: *const T, count: usize, name: &str) -> Result<&'a [T], Fault> {
    if count == 0 {
        return Ok(&[]);
    }
    let pointer = given((!pointer.is_null()).then_some(pointer), name)?;
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Fault::Argument(format!("{name}: is larger than the address space")));
    }
    // SAFETY: not NULL, within the address space, readable by the contract.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// `length` bytes of text.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn counted_text<'a>(pointer: *const c_char, length: usize, name: &str) -> Result<&'a str, Fault> {
    // SAFETY: the same contract.
    let bytes = unsafe { bytes(pointer.cast(), length, name) }?;
    std::str::from_utf8(bytes).map_err(|_| Fault::Argument(format!("{name}: must be UTF-8")))
}

/// Structs that callers fill in: plain C data whose all-zero value means "all defaults" and whose first word is its size.
///
/// # Safety
/// `repr(C)`, begins with a `usize`, all zeros is a value, and `EARLIER` are sizes that end where a field ends.
pub(crate) unsafe trait Options: Copy {
    /// The sizes that it had in earlier releases. A release that appends a field adds the size before it here.
    const EARLIER: &'static [usize] = &[];
}

/// What the caller filled in, of this version's header or an earlier one's. NULL is all defaults. A larger struct is refused: its size may as well be what was
/// there before, and what is not known cannot be honoured.
///
/// # Safety
/// NULL, or a struct with as many readable bytes as its first word says.
pub(crate) unsafe fn options<T: Options>(pointer: *const T, name: &str) -> Result<T, Fault> {
    let mut ours = MaybeUninit::<T>::zeroed();
    if !pointer.is_null() {
        // SAFETY: not NULL, and every version begins with a word.
        let size = unsafe { pointer.cast::<usize>().read_unaligned() };
        if size != size_of::<T>() && !T::EARLIER.contains(&size) {
            let rule = format!("must be the sizeof of the struct ({} in this version of the library)", size_of::<T>());
            return Err(Fault::Argument(format!("{name}: struct_size {rule}, got {size}; begin with the INIT of its type")));
        }
        // SAFETY: as many bytes as the caller says are readable, a release has had, and ours on this stack has at least.
        unsafe { std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), ours.as_mut_ptr().cast::<u8>(), size) };
    }
    // SAFETY: all zeros is a value, and so is what a caller may write over it: numbers and pointers.
    Ok(unsafe { ours.assume_init() })
}

/// A counted handle, held while this is.
///
/// # Safety
/// NULL, or from [`hand_out`] and not freed when this is called.
pub(crate) unsafe fn shared<T>(pointer: *const T, name: &str) -> Result<Arc<T>, Fault> {
    let pointer = given((!pointer.is_null()).then_some(pointer), name)?;
    // SAFETY: from Arc::into_raw, and its count is above zero.
    unsafe { Arc::increment_strong_count(pointer) };
    // SAFETY: the count taken above is this one's.
    Ok(unsafe { Arc::from_raw(pointer) })
}

/// Gives a counted handle to the caller.
pub(crate) fn hand_out<T>(value: T) -> *mut T {
    Arc::into_raw(Arc::new(value)).cast_mut()
}

/// Takes a counted handle back.
///
/// # Safety
/// NULL, or from [`hand_out`] and not freed yet.
pub(crate) unsafe fn take_back<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: by the contract.
        drop(unsafe { Arc::from_raw(pointer.cast_const()) });
    }
}

/// A text for C. What it has of NUL characters is replaced.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text).unwrap_or_else(|_| CString::new(text.replace('\0', "\u{FFFD}")).unwrap_or_default())
}
