//! Clients.
#![allow(unsafe_code)] // pointers from C; each block says why it may

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use core_::client::{Client, ClientCert, Http2, Proxy, Redirects, TransportOptions, whole_option};
use core_::policy::shown_text;

use crate::budgets::reknock_budgets;
use crate::cookies::reknock_cookies;
use crate::error::{reknock_error, reknock_status};
use crate::ffi::{Fault, Options, bytes, entry, given, hand_out, list, options, plain, put, shared, take_back, text};
use crate::hooks::Hooks;
use crate::policy::reknock_policy;
use crate::policy_set::reknock_policy_set;
use crate::request::{reknock_header, reknock_request};

/// Sends requests under a policy. Keeps connections and retry budgets, so make one and share it.
///
/// May be used from any number of threads at once. In a forked child it starts with no connections and full budgets.
/// Freeing it while calls are in flight, in other threads too, is allowed: those calls go on, and keep what they need.
pub struct reknock_client {
    pub(crate) client: Client,
    /// As the client has them: a call may say something about a part of them.
    pub(crate) redirects: Redirects,
    hooks: Mutex<Hooks>,
}

impl reknock_client {
    /// The callbacks as they are now.
    pub(crate) fn hooks(&self) -> Hooks {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the callbacks of calls to come. What goes is dropped after the lock is free: its free function may call us.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Hooks)) {
        let mut hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hooks.clone();
        change(&mut hooks);
        drop(hooks);
        drop(before);
    }
}

/// Of max_redirects and pool_max_idle_per_host: not even one.
pub const REKNOCK_NONE: i32 = -1;
/// Of times in milliseconds: no limit.
pub const REKNOCK_UNLIMITED_MS: u64 = u64::MAX;
/// Of http2: HTTP/2 only, without asking, over plain TCP too.
pub const REKNOCK_HTTP2_ONLY: i32 = 1;
/// Of http2: HTTP/1.1 only.
pub const REKNOCK_HTTP2_NONE: i32 = 2;

/// What a client can be told. Begin with REKNOCK_CLIENT_OPTIONS_INIT; a field that is zero or NULL has its default.
///
/// Everything is copied: pointers need to live until reknock_client_new returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct reknock_client_options {
    /// sizeof(reknock_client_options). Tells the library which fields the program knows.
    pub struct_size: usize,
    /// The policy of all calls that bring none of their own. Default: 2 retries of idempotent requests.
    pub policy: *const reknock_policy,
    /// What the relative URLs of reknock_client_request_new are appended to. Default: none.
    pub base_url: *const c_char,
    /// Header fields of all requests that do not bring them themselves.
    pub headers: *const reknock_header,
    /// How many they are.
    pub header_count: usize,
    /// The largest response body, decompressed, that is read into memory, in bytes. Default: no limit.
    pub max_response_size: u64,
    /// Redirects followed per call, up to 1000; REKNOCK_NONE follows none. Default: 20.
    pub max_redirects: i32,
    /// Not 0: redirects from https to http are followed too.
    pub allow_downgrade: i32,
    /// Which HTTP versions to speak: REKNOCK_HTTP2_ONLY or REKNOCK_HTTP2_NONE. Default: HTTP/2 where TLS offers it.
    pub http2: i32,
    /// Not 0: bodies are not asked for and handed out compressed.
    pub no_compression: i32,
    /// An http, https, socks5 or socks5h proxy for everything, userinfo allowed; "" for none. Default: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
    pub proxy: *const c_char,
    /// How long an unused connection is kept, in milliseconds; REKNOCK_UNLIMITED_MS for as long as the server does. Default: 4 s.
    pub pool_idle_timeout_ms: u64,
    /// Unused connections kept per origin, up to 100000; REKNOCK_NONE keeps none. Default: 1000.
    pub pool_max_idle_per_host: i32,
    /// Not 0: certificates are not checked. Anybody in between can then read and change everything.
    pub no_verify: i32,
    /// Not 0: the system's root certificates are not trusted, only those of ca_pem.
    pub no_system_roots: i32,
    /// Root certificates to trust, in PEM.
    pub ca_pem: *const u8,
    /// Their size in bytes.
    pub ca_pem_length: usize,
    /// The certificate to show to servers that ask for one, then its intermediates, in PEM.
    pub cert_pem: *const u8,
    /// Their size in bytes.
    pub cert_pem_length: usize,
    /// The private key in PEM; NULL if it is among the certificates.
    pub key_pem: *const u8,
    /// Its size in bytes.
    pub key_pem_length: usize,
    /// Basic credentials of all requests that have none of their own. Default: none.
    pub username: *const c_char,
    /// Their password. Default: empty.
    pub password: *const c_char,
    /// The IP address to connect from, such as "192.0.2.7"; a server's addresses of the other family are passed over. Default: as the system has it.
    pub local_address: *const c_char,
    /// Not 0: `x-envoy-retry-on` and its kin on a request change its policy, as in Envoy.
    pub envoy_headers: i32,
    /// Budgets to share with other clients and with reknock_retry, whose times must then be those of CLOCK_MONOTONIC. Default: its own.
    pub budgets: *const reknock_budgets,
    /// How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life, in milliseconds;
    /// REKNOCK_UNLIMITED_MS asks never. After as long again the connection is lost. Default: 5 s.
    pub http2_ping_ms: u64,
    /// Where cookies that servers set are kept, and sent back from. Default: they are not.
    pub cookies: *const reknock_cookies,
    /// Where budgets with `share: host` are: the absolute path of a directory that is this user's alone. Default: that of the environment's
    /// REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID.
    pub budget_dir: *const c_char,
    /// Not 0: a budget with `share: host` that cannot be shared is an error of kind config; else it is the process's alone, and its reading says why.
    pub share_required: i32,
    /// In place of `policy`: policies, and rules that choose one for each call by its first URL.
    pub policy_set: *const reknock_policy_set,
    /// The path of a Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then. Default: none.
    pub unix_socket: *const c_char,
    /// The network interface to connect from, such as "eth0" (Linux and Android). Default: as the system has it.
    pub interface_name: *const c_char,
    /// The most connections that are open at once, unused ones included, up to 100000. Calls beyond wait in order: no attempt's time, only the
    /// policy's timeout goes on. Default: 512.
    pub max_connections: u32,
    /// Likewise, to one origin. Default: 256.
    pub max_connections_per_origin: u32,
}

// SAFETY: numbers and nullable pointers, the size first.
unsafe impl Options for reknock_client_options {}

/// Field by field, not through the core's reader of options: C's compiler has checked names and types already.
impl reknock_client_options {
    fn transport(&self) -> Result<TransportOptions, Fault> {
        let mut out = TransportOptions::default();
        out.http2 = match self.http2 {
            0 => out.http2,
            REKNOCK_HTTP2_ONLY => Http2::Only,
            REKNOCK_HTTP2_NONE => Http2::None,
            other => return Err(no_choice("http2", other)),
        };
        match self.http2_ping_ms {
            0 => {}
            REKNOCK_UNLIMITED_MS => out.http2_ping = None,
            ms => out.http2_ping = Some(Duration::from_millis(ms)),
        }
        match self.pool_idle_timeout_ms {
            0 => {}
            REKNOCK_UNLIMITED_MS => out.pool_idle_timeout = None,
            ms => out.pool_idle_timeout = Some(Duration::from_millis(ms)),
        }
        if let Some(most) = count("pool_max_idle_per_host", self.pool_max_idle_per_host)? {
            out.pool_max_idle_per_host = most as usize;
        }
        if !self.proxy.is_null() {
            // SAFETY: NUL-terminated.
            out.proxy = match unsafe { text(self.proxy, "proxy") }? {
                "" => Proxy::None,
                url => Proxy::Url(url.to_owned()),
            };
        }
        if !self.local_address.is_null() {
            // SAFETY: NUL-terminated.
            let address = unsafe { text(self.local_address, "local_address") }?;
            let none = |_| Fault::Argument(format!("local_address: must be an IP address, got {}", shown_text(address)));
            out.local_address = Some(address.parse().map_err(none)?);
        }
        if !self.unix_socket.is_null() {
            // SAFETY: NUL-terminated.
            out.unix_socket = Some(unsafe { text(self.unix_socket, "unix_socket") }?.into());
        }
        if !self.interface_name.is_null() {
            // SAFETY: NUL-terminated.
            out.interface = Some(unsafe { text(self.interface_name, "interface_name") }?.to_owned());
        }
        if self.max_connections > 0 {
            out.max_connections = whole("max_connections", self.max_connections.into())?;
        }
        if self.max_connections_per_origin > 0 {
            out.max_connections_per_origin = whole("max_connections_per_origin", self.max_connections_per_origin.into())?;
        }
        out.compression &= self.no_compression == 0;
        out.tls.verify &= self.no_verify == 0;
        out.tls.system_roots &= self.no_system_roots == 0;
        // SAFETY: as many readable bytes as are said, or NULL; copied below.
        let pem = |pointer: *const u8, length, name| unsafe { bytes(pointer, length, name) }.map(|pem| copied(pointer, pem));
        out.tls.ca_bundle = pem(self.ca_pem, self.ca_pem_length, "ca_pem")?;
        let key = pem(self.key_pem, self.key_pem_length, "key_pem")?;
        if key.is_some() && self.cert_pem.is_null() {
            return Err(Fault::Argument("key_pem: needs cert_pem, the certificate that the key belongs to".to_owned()));
        }
        out.tls.client_cert = pem(self.cert_pem, self.cert_pem_length, "cert_pem")?.map(|cert| ClientCert { cert, key });
        Ok(out)
    }
}

/// An empty text is a text; NULL is none.
fn copied(pointer: *const u8, bytes: &[u8]) -> Option<Bytes> {
    (!pointer.is_null()).then(|| Bytes::copy_from_slice(bytes))
}

fn no_choice(name: &str, got: i32) -> Fault {
    Fault::Argument(format!("{name}: is none of its values, got {got}"))
}

/// A number where 0 is the default and REKNOCK_NONE is none at all.
fn count(name: &str, number: i32) -> Result<Option<u32>, Fault> {
    match number {
        0 => Ok(None),
        REKNOCK_NONE => Ok(Some(0)),
        _ => Ok(Some(whole(name, number.into())? as u32)),
    }
}

/// A number in the range that the core knows.
fn whole(name: &str, number: i64) -> Result<usize, Fault> {
    whole_option(name, number).map(|number| number as usize).map_err(|error| Fault::Argument(error.to_string()))
}

/// These rules with as many redirects as are said.
pub(crate) fn at_most(max: i32, rules: Redirects) -> Result<Redirects, Fault> {
    Ok(Redirects { max: count("max_redirects", max)?.unwrap_or(rules.max), ..rules })
}

/// Makes a client in `*out`. Free it with reknock_client_free. NULL options are all defaults.
///
/// Errors: REKNOCK_ERROR_CONFIG for options that cannot be, such as PEM that is none or a budget's name that is in use with
/// other parameters; REKNOCK_ERROR_INVALID_ARGUMENT, also for a password without a username and a key without a certificate.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_new(
    options: *const reknock_client_options,
    out: Option<&mut MaybeUninit<*mut reknock_client>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        // SAFETY: NULL, or a struct as large as it says.
        let said = unsafe { self::options(options, "options") }?;
        let mut redirects = at_most(said.max_redirects, Redirects::default())?;
        redirects.allow_downgrade |= said.allow_downgrade != 0;
        let mut builder = Client::on(said.transport()?).redirects(redirects);
        // SAFETY: a live policy or NULL.
        if let Some(policy) = unsafe { said.policy.as_ref() } {
            builder = builder.policy(policy.policy.clone());
        }
        // SAFETY: a live set or NULL.
        if let Some(set) = unsafe { said.policy_set.as_ref() } {
            builder = builder.policy(set.set.clone());
        }
        // SAFETY: as many headers as are said, or NULL.
        for header in unsafe { list(said.headers, said.header_count, "headers") }? {
            // SAFETY: NUL-terminated or NULL, both.
            let (name, value) = unsafe { (text(header.name, "headers: name")?, text(header.value, "headers: value")?) };
            builder = builder.header(name, value);
        }
        if !said.base_url.is_null() {
            // SAFETY: NUL-terminated.
            builder = builder.base_url(unsafe { text(said.base_url, "base_url") }?);
        }
        if !said.budget_dir.is_null() {
            // SAFETY: NUL-terminated.
            builder = builder.budget_dir(unsafe { text(said.budget_dir, "budget_dir") }?);
        }
        builder = builder.share_required(said.share_required != 0).envoy_headers(said.envoy_headers != 0);
        if said.username.is_null() && !said.password.is_null() {
            return Err(Fault::Argument("password: needs username".to_owned()));
        }
        if !said.username.is_null() {
            // SAFETY: NUL-terminated; the password may be NULL.
            let (name, password) = unsafe { (text(said.username, "username")?, said.password.as_ref()) };
            // SAFETY: NUL-terminated.
            let password = password.map_or(Ok(""), |password| unsafe { text(password, "password") })?;
            builder = builder.basic_auth(name, password);
        }
        // SAFETY: a live jar or NULL.
        if let Some(cookies) = unsafe { said.cookies.as_ref() } {
            builder = builder.cookies(cookies.jar.clone());
        }
        if !said.budgets.is_null() {
            // SAFETY: live budgets.
            builder = builder.budgets(Arc::clone(&unsafe { shared(said.budgets, "budgets") }?.budgets));
        }
        if said.max_response_size != 0 {
            builder = builder.max_response_size(said.max_response_size);
        }
        out.write(hand_out(reknock_client { client: builder.build()?, redirects, hooks: Mutex::default() }));
        Ok(())
    })
}

/// Gives the client other policies, for calls that begin from now on; those in flight keep theirs, and budgets with the same parameters go on. A
/// budget's name that has others now is a fresh purse, for all clients of the process. The set may be freed at once. Any thread.
///
/// Errors: REKNOCK_ERROR_CONFIG if a budget has to be the host's (`share_required`) and cannot; nothing is changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_set_policy(
    client: *const reknock_client,
    set: Option<&reknock_policy_set>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: a live client or NULL.
        let client = unsafe { shared(client, "client") }?;
        Ok(client.client.set_policy(given(set, "set")?.set.clone())?)
    })
}

/// REKNOCK_OK if the last change of the file that the client follows was taken, and if it follows none (reknock_policy_set_watch). Any thread.
///
/// Errors: REKNOCK_ERROR_CONFIG with what is wrong with the file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_policy_error(
    client: *const reknock_client,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        // SAFETY: a live client or NULL.
        match unsafe { shared(client, "client") }?.client.policy_error() {
            Some(error) => Err(core_::Error::new(error.kind(), error.to_string()).into()),
            None => Ok(()),
        }
    })
}

/// Ends the calls in flight with REKNOCK_ERROR_CLOSED, and those to come. Any thread, more than once. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_close(client: *const reknock_client) {
    plain((), || {
        // SAFETY: a live client or NULL.
        if let Ok(client) = unsafe { shared(client, "client") } {
            client.client.close();
        }
    });
}

/// Frees a client. Calls in flight go on; reknock_client_close ends them. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_free(client: *mut reknock_client) {
    // SAFETY: a live client or NULL.
    plain((), || unsafe { take_back(client) });
}

/// As reknock_request_new, with a URL that may be relative to the client's base_url: `http://host/v1` and `users` or `/users`
/// make `http://host/v1/users`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reknock_client_request_new(
    client: *const reknock_client,
    method: *const c_char,
    url: *const c_char,
    out: Option<&mut MaybeUninit<*mut reknock_request>>,
    error: Option<&mut MaybeUninit<*mut reknock_error>>,
) -> reknock_status {
    entry(error, || {
        let out = given(out, "out")?;
        // SAFETY: a live client or NULL; NUL-terminated or NULL.
        let (client, method, url) = unsafe { (shared(client, "client")?, text(method, "method")?, text(url, "url")?) };
        put(out, reknock_request::of(client.client.request(method, url).build()?));
        Ok(())
    })
}

/// Stops the library in this process, its thread included, for good: calls on queues complete with REKNOCK_ERROR_CLOSED, and every later
/// call fails with it. Optional; for programs that unload the library or want nothing left at their end.
///
/// No blocking call may be in flight. More than once does nothing more. Handles may be freed before and after.
#[unsafe(no_mangle)]
pub extern "C" fn reknock_shutdown() {
    plain((), core_::client::shutdown);
}
