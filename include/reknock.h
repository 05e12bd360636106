/*
 * reknock: an HTTP client that retries, and tells what it did.
 *
 *     reknock_client *client = NULL;
 *     reknock_request *request = NULL;
 *     reknock_response *response = NULL;
 *     reknock_error *error = NULL;
 *
 *     if (reknock_client_new(NULL, &client, &error) == REKNOCK_OK &&
 *         reknock_request_new("GET", "http://127.0.0.1:8080/", &request, &error) == REKNOCK_OK &&
 *         reknock_client_send(client, request, NULL, &response, &error) == REKNOCK_OK) {
 *         printf("%d\n%s", reknock_response_status(response), reknock_response_explain(response));
 *     } else {
 *         printf("%s\n%s", reknock_error_message(error), reknock_error_explain(error));
 *     }
 *     reknock_response_free(response);
 *     reknock_request_free(request);
 *     reknock_client_free(client);
 *     reknock_error_free(error);
 *
 * Rules for all functions
 *
 * - Results. A function that can fail returns a reknock_status. On success it writes its outputs, on failure its error, and
 *   never both. Every output but the error must not be NULL unless it says so.
 * - Ownership. What a function puts in `*out` or `*error` belongs to the caller, who frees it with the _free of its type, once.
 *   What a function returns as a const pointer belongs to the object it was asked of. Arguments are borrowed until the function
 *   returns.
 * - NULL. Handles and texts must not be NULL unless a function says so: it then returns REKNOCK_ERROR_INVALID_ARGUMENT. Each _free
 *   takes NULL. Functions that read a handle give 0, NULL or "" for NULL, as they say.
 * - Texts are UTF-8. Those that go in are NUL-terminated, or counted where a function ends in _n. Those that come out are
 *   NUL-terminated and have no NUL inside; bodies are counted bytes. Values of header fields of a response are bytes as they came, and need not be
 *   UTF-8: reknock_response_header_bytes counts them.
 * - Units are in the names: _ms milliseconds, _us microseconds, _ns nanoseconds.
 * - Structs that the caller fills in begin with struct_size, which is their sizeof; zero means the default. A library takes the structs of
 *   its own version and of earlier ones of its ABI; any other size is refused, since nothing tells what is behind it.
 * - Threads. Each type says who may use it at once; its functions may be called from any thread. The library never handles signals,
 *   and starts one thread, when something is first submitted to a queue; threads that resolve names and read files end by themselves.
 *   A thread that is cancelled (pthread_cancel) within a function of the library ends after it: cancel the call to have it return.
 * - Signals. A server that goes away is an error of the call and never a SIGPIPE, ignored or not; handlers of the program run on none of
 *   the library's threads, but for those of faults and SIGPROF; the masks and handlers of the program's threads stay as they are.
 * - Functions of the program that the library calls must return: no longjmp, no C++ exception, no pthread_exit. They may call the library.
 * - After fork the child may use inherited policies, requests and clients; inherited queues, calls and streamed responses belong to
 *   the parent.
 *
 * This file is generated from bindings/c: make gen.
 */

#ifndef REKNOCK_H
#define REKNOCK_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__cplusplus) && !defined(_MSC_VER) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 199901L)
#error "reknock.h needs C99 or later: -std=c99"
#endif

/** The version of this header. That of the library: reknock_version, reknock_version_number, reknock_abi_version. */
#define REKNOCK_VERSION "0.1.0"
#define REKNOCK_VERSION_MAJOR 0
#define REKNOCK_VERSION_MINOR 1
#define REKNOCK_VERSION_PATCH 0
/** MAJOR * 1000000 + MINOR * 1000 + PATCH */
#define REKNOCK_VERSION_NUMBER 1000
/** Programs run with every library of the ABI they were compiled for. */
#define REKNOCK_ABI_VERSION 0

/**
 * It worked.
 */
#define REKNOCK_OK 0

/**
 * A policy, a client option or a budget cannot be what was asked for. Raised at construction.
 */
#define REKNOCK_ERROR_CONFIG 1

/**
 * The request itself is impossible (URL, method, header, body against its content-length). Nothing was sent.
 */
#define REKNOCK_ERROR_INVALID_REQUEST 2

/**
 * No connection: name resolution, refusal, unreachable, proxy refusal, a handshake cut off. Nothing was sent.
 */
#define REKNOCK_ERROR_CONNECT 3

/**
 * No connection within `connect_timeout`. Nothing was sent.
 */
#define REKNOCK_ERROR_CONNECT_TIMEOUT 4

/**
 * Certificate or TLS alert: does not heal by itself.
 */
#define REKNOCK_ERROR_TLS 5

/**
 * The connection went away before the response head.
 */
#define REKNOCK_ERROR_RESET 6

/**
 * HTTP/2 REFUSED_STREAM, or GOAWAY below our stream.
 */
#define REKNOCK_ERROR_REFUSED_STREAM 7

/**
 * The peer does not speak HTTP as we know it.
 */
#define REKNOCK_ERROR_PROTOCOL 8

/**
 * One attempt took longer than `per_try_timeout` to its response head.
 */
#define REKNOCK_ERROR_PER_TRY_TIMEOUT 9

/**
 * A body was cut, corrupt, shorter than its content-length, or silent for `idle_timeout`.
 */
#define REKNOCK_ERROR_BODY 10

/**
 * The call took longer than `timeout`.
 */
#define REKNOCK_ERROR_DEADLINE 11

/**
 * More redirects than allowed.
 */
#define REKNOCK_ERROR_TOO_MANY_REDIRECTS 12

/**
 * The buffered, decompressed body passed `max_response_size`.
 */
#define REKNOCK_ERROR_RESPONSE_TOO_LARGE 13

/**
 * The caller cancelled.
 */
#define REKNOCK_ERROR_CANCELLED 14

/**
 * A callback failed or answered with something that is no answer.
 */
#define REKNOCK_ERROR_CALLBACK 15

/**
 * The client was closed.
 */
#define REKNOCK_ERROR_CLOSED 16

/**
 * A bug in reknock or below. Please report it.
 */
#define REKNOCK_ERROR_INTERNAL 17

/**
 * The function was called against its contract: a NULL that is not allowed, text that is not UTF-8, a struct_size that is none.
 * Of the C library alone. Nothing was done.
 */
#define REKNOCK_ERROR_INVALID_ARGUMENT 100

/**
 * Nothing is there: no completion, no reading. No error.
 */
#define REKNOCK_EMPTY 101

/**
 * A response below 400 that the policy does not retry.
 */
#define REKNOCK_STOP_COMPLETED 1

/**
 * The policy does not retry this outcome, or its `request_headers` leave this request out.
 */
#define REKNOCK_STOP_NOT_RETRYABLE 2

/**
 * `retry_if` said stop.
 */
#define REKNOCK_STOP_PREDICATE_STOP 3

/**
 * The request may have been executed and its method is not idempotent.
 */
#define REKNOCK_STOP_NOT_IDEMPOTENT 4

/**
 * The body cannot be produced a second time.
 */
#define REKNOCK_STOP_BODY_NOT_REPLAYABLE 5

/**
 * `max_retries` retries were made.
 */
#define REKNOCK_STOP_RETRIES_EXHAUSTED 6

/**
 * The server asked for a longer wait than `retry_after.max`.
 */
#define REKNOCK_STOP_RETRY_AFTER_TOO_LONG 7

/**
 * The call's `timeout` is over, or the next wait would not end before it.
 */
#define REKNOCK_STOP_DEADLINE 8

/**
 * The retry budget had nothing left.
 */
#define REKNOCK_STOP_BUDGET_EXHAUSTED 9

/**
 * The caller cancelled.
 */
#define REKNOCK_STOP_CANCELLED 10

/**
 * A callback failed.
 */
#define REKNOCK_STOP_CALLBACK 11

/**
 * The client was closed.
 */
#define REKNOCK_STOP_CLOSED 12

/**
 * It would have been retried, but was made within an attempt of another call, which does the retrying.
 */
#define REKNOCK_STOP_NESTED 13

/**
 * Nothing of the request left for the server: any method may be sent again.
 */
#define REKNOCK_EVIDENCE_NOT_SENT 1

/**
 * The server said that it did not process the request: any method may be sent again.
 */
#define REKNOCK_EVIDENCE_REFUSED 2

/**
 * It may have been executed: only idempotent requests may be sent again.
 */
#define REKNOCK_EVIDENCE_UNKNOWN 3

/**
 * Beside one of the others, of failures told to reknock_retry_classify_failure: this machine alone is short of something (descriptors, ports, memory), so
 * that a retry adds no load and costs no budget.
 */
#define REKNOCK_EVIDENCE_LOCAL 128

/**
 * As the policy has it: what retry_if answers where it adds nothing.
 */
#define REKNOCK_ANSWER_DEFAULT 0

/**
 * Of retry_if: retry, after the wait that the policy has. Method and evidence rules, body replay, limits, deadline and budget
 * still hold.
 */
#define REKNOCK_ANSWER_RETRY 1

/**
 * Of retry_if: do not retry, whatever the policy says.
 */
#define REKNOCK_ANSWER_STOP 2

/**
 * Of retry_if and delay: after `*wait_ms`.
 */
#define REKNOCK_ANSWER_WAIT 3

/**
 * End the call with REKNOCK_ERROR_CALLBACK.
 */
#define REKNOCK_ANSWER_ERROR -1

/**
 * An attempt ended and will be retried after its wait. Told before the wait.
 */
#define REKNOCK_EVENT_RETRY 1

/**
 * A redirect is followed.
 */
#define REKNOCK_EVENT_REDIRECT 2

/**
 * The call is over.
 */
#define REKNOCK_EVENT_END 3

/**
 * What whoever runs the program should know: see the REKNOCK_NOTICE_ numbers.
 */
#define REKNOCK_EVENT_NOTICE 4

/**
 * An attempt begins: each one, those of redirects' hops included.
 */
#define REKNOCK_EVENT_ATTEMPT_START 5

/**
 * An attempt ended, with the body of its response where that is read into memory.
 */
#define REKNOCK_EVENT_ATTEMPT_END 6

/**
 * An interim answer (1xx) came. Told once the attempt has ended, before its end.
 */
#define REKNOCK_EVENT_INTERIM 7

/**
 * A budget refused a retry. At most once a second and origin.
 */
#define REKNOCK_NOTICE_BUDGET_REFUSED 1

/**
 * A header field of a response was dropped, because its value has characters that no value can have.
 */
#define REKNOCK_NOTICE_FIELD_DROPPED 2

/**
 * The file that the client's policy comes from has changed and cannot be used: the policy before holds on.
 */
#define REKNOCK_NOTICE_POLICY_REFUSED 3

/**
 * A budget that was to be the host's (`share: host`) is this process's alone. Once a client.
 */
#define REKNOCK_NOTICE_BUDGET_UNSHARED 4

/**
 * What happens with every call.
 */
#define REKNOCK_LEVEL_DEBUG 0

/**
 * A retry.
 */
#define REKNOCK_LEVEL_INFO 1

/**
 * A call that failed, and notices.
 */
#define REKNOCK_LEVEL_WARNING 2

/**
 * Of the length of a body: it is not known, and is sent in chunks.
 */
#define REKNOCK_LENGTH_UNKNOWN -1

/**
 * Of max_redirects and pool_max_idle_per_host: not even one.
 */
#define REKNOCK_NONE -1

/**
 * Of times in milliseconds: no limit.
 */
#define REKNOCK_UNLIMITED_MS UINT64_MAX

/**
 * Of http2: HTTP/2 only, without asking, over plain TCP too.
 */
#define REKNOCK_HTTP2_ONLY 1

/**
 * Of http2: HTTP/1.1 only.
 */
#define REKNOCK_HTTP2_NONE 2

/**
 * The retry budgets that calls share: keep one beside each client of your own, or give the same to several, and to a reknock_client.
 * Those with names are shared with all of the process.
 *
 * May be used from any number of threads at once. Calls that were begun with it keep it alive.
 */
typedef struct reknock_budgets reknock_budgets;

/**
 * Cancels the calls that were given it, from any thread, once and for all.
 *
 * May be shared by any number of calls and threads. A call holds what it needs: freeing a token early cancels nothing.
 */
typedef struct reknock_cancel reknock_cancel;

/**
 * What a set chose for a request. Immutable; may be used from any number of threads at once.
 */
typedef struct reknock_choice reknock_choice;

/**
 * Sends requests under a policy. Keeps connections and retry budgets, so make one and share it.
 *
 * May be used from any number of threads at once. In a forked child it starts with no connections and full budgets.
 * Freeing it while calls are in flight, in other threads too, is allowed: those calls go on, and keep what they need.
 */
typedef struct reknock_client reknock_client;

/**
 * A jar of cookies: what servers set is kept, and sent back where it belongs. It is given to clients as the option `cookies`; several may share it.
 *
 * May be used from any number of threads at once. Clients keep it alive. A forked child goes on with what was in it.
 */
typedef struct reknock_cookies reknock_cookies;

/**
 * What went wrong: a status, one line of text, what was sent and why nothing further was.
 *
 * Functions that can fail take a `reknock_error **`, which may be NULL. They write to it when they fail, and only then; the
 * error then belongs to the caller. May be read from several threads at once.
 */
typedef struct reknock_error reknock_error;

/**
 * What is provably true of a policy, and what was found. Immutable; may be used from any number of threads at once.
 */
typedef struct reknock_lint reknock_lint;

/**
 * A form of parts (multipart/form-data), on its way to a request. Used by one thread at a time.
 */
typedef struct reknock_multipart reknock_multipart;

/**
 * The policies that one document holds, in the order they stand there: one of ours, or any number in the words of Envoy, kgateway,
 * linkerd, Ballerina or Ktor; with their names, and notes on what reknock does not do as the original does.
 *
 * Immutable, and may be used from any number of threads at once. What its functions return belongs to it and lives as long,
 * the policies too; clients and calls hold what they need of them.
 */
typedef struct reknock_policies reknock_policies;

/**
 * What a call is allowed to do: how often, when and for how long it is retried. Immutable.
 *
 * May be shared by any number of clients, calls and threads. Clients and calls hold what they need: a policy may be freed
 * as soon as the function it was given to has returned.
 */
typedef struct reknock_policy reknock_policy;

/**
 * Policies, and rules that say which of them a request has: the first rule that matches its host, path, method, header fields and query, else
 * the default. A client that is given one (`policy_set`) chooses for each call by its first URL.
 *
 * A document is `{policies: {name: policy}, rules: [{match: {host, path, methods, headers, query}, policy: name}], default: name}`; a policy's
 * is a set of one. The files of Envoy, the Gateway API, Istio and linkerd2 become sets by their own matches.
 *
 * Immutable, and may be used from any number of threads at once. Clients hold what they need of it.
 */
typedef struct reknock_policy_set reknock_policy_set;

/**
 * Where calls that nobody waits for are completed, and where their callbacks run: on the thread that drains the queue.
 *
 * Make one per event loop. Any thread may submit and cancel; threads that drain at once each get other completions. Freeing it
 * cancels the calls and reads in flight, whose completions never come.
 */
typedef struct reknock_queue reknock_queue;

/**
 * What a policy, or each of several, did in a scenario. Immutable; may be used from any number of threads at once.
 */
typedef struct reknock_report reknock_report;

/**
 * A request: method, URL, header fields, body. Checked while it is built; sending it changes nothing, so that it may be sent
 * again, under other policies too; a body that cannot be produced again excepted (reknock_request_set_body_stream).
 *
 * Used by one thread at a time while it is changed, by any number while it is sent.
 */
typedef struct reknock_request reknock_request;

/**
 * A response with its body, of any status: whether a 404 is an error is the caller's business.
 *
 * What its functions return belongs to it and lives as long, unchanged. May be read from several threads at once, except with
 * reknock_response_read and reknock_response_submit_read.
 */
typedef struct reknock_response reknock_response;

/**
 * One call on its way, decided step by step: it sends nothing, waits for nothing and reads no clock.
 *
 * reknock_retry_new; then per attempt reknock_retry_attempt, your send, reknock_retry_classify_response or _failure, and
 * reknock_retry_decide, which says retry (wait, then begin again) or stop; at the end reknock_retry_finish. The last outcome that
 * is classified counts; after a stop another one may be, as of a body that breaks. A function that is called before its turn
 * fails with REKNOCK_ERROR_INVALID_ARGUMENT, says what comes first, and changes nothing.
 *
 * Times are nanoseconds on a monotonic clock of yours; read it immediately before each function. Where budgets are shared with a
 * reknock_client it is CLOCK_MONOTONIC. Used by one thread at a time.
 *
 * What was sent, the stop reason and the explanation can be read once a stop is decided, until it is finished.
 */
typedef struct reknock_retry reknock_retry;

/**
 * What a function that can fail returns: REKNOCK_OK, or a REKNOCK_ERROR_ number. Numbers never change their meaning;
 * later versions may add some.
 */
typedef int32_t reknock_status;

/**
 * Whether the server may have acted on an attempt: a REKNOCK_EVIDENCE_ number.
 */
typedef int32_t reknock_evidence;

/**
 * One send and how it ended. Later versions may append fields; the library alone makes these structs. Where it gives an array of them, step by
 * reknock_attempt_record_size.
 */
typedef struct reknock_attempt_record {
  /**
   * From 1, over all redirect hops.
   */
  uint32_t number;
  /**
   * Redirects followed before this attempt, from 0.
   */
  uint32_t hop;
  /**
   * From the start of the call to the start of this attempt, in microseconds.
   */
  uint64_t start_us;
  /**
   * From the start of this attempt to its outcome, in microseconds.
   */
  uint64_t duration_us;
  /**
   * The wait the server asked for, in microseconds, or -1.
   */
  int64_t hint_us;
  /**
   * The wait before the next attempt, in microseconds; -1 if this was the last one or a redirect was followed at once.
   */
  int64_t wait_us;
  /**
   * The response's status, such as 503, or 0 if no response head arrived.
   */
  int32_t http_status;
  /**
   * How it failed, or REKNOCK_OK. A body failure has an http_status too.
   */
  reknock_status error;
  /**
   * Whether the server may have acted on it.
   */
  reknock_evidence evidence;
  /**
   * The number of the retry that a loop above this call says it is, as SDKs do in header fields of their own, or 0.
   */
  uint32_t outer_retry;
  /**
   * The version of HTTP: 10 for 1.0, 11 for 1.1, 20 for 2; 0 if it is not known.
   */
  int32_t http_version;
  /**
   * From the start of this attempt to the first byte of its response, in microseconds; -1 if none came.
   */
  int64_t first_byte_us;
  /**
   * What looking up the name took in this attempt, in microseconds; -1 if it was not looked up.
   */
  int64_t resolve_us;
  /**
   * What opening the connection took in this attempt (TCP, and what a proxy demands), in microseconds; -1 if none was opened.
   */
  int64_t connect_us;
  /**
   * The TLS handshake in this attempt, in microseconds; -1 if there was none.
   */
  int64_t tls_us;
  /**
   * Whether its connection was kept from an earlier exchange: 1 or 0; -1 if there was none, or it is not known.
   */
  int32_t reused;
  /**
   * How often it was sent again by itself, because a kept connection was found dead before a byte was taken; the server saw none of those.
   */
  uint32_t resends;
  /**
   * The other end, the server or its proxy, such as "192.0.2.1:443" or "[2001:db8::1]:443", NUL-terminated; empty if there was no connection, or
   * it is a unix socket.
   */
  char peer[64];
  /**
   * Interim answers (1xx) that came before the head of its response.
   */
  uint32_t interim;
  /**
   * What this attempt waited for a place, in microseconds: while as many connections were open as there may be, for one of the streams that a server
   * of HTTP/2 takes, or for a connection that another call was opening; -1 if it did not wait.
   */
  int64_t waited_us;
} reknock_attempt_record;

/**
 * Why nothing further was sent: a REKNOCK_STOP_ number, or 0 for none.
 */
typedef int32_t reknock_stop_reason;

/**
 * A header field.
 */
typedef struct reknock_header {
  /**
   * The name; in lower case where the library made the struct.
   */
  const char *name;
  /**
   * The value. Never has NUL characters inside; from a server it is bytes that need not be UTF-8.
   */
  const char *value;
} reknock_header;

/**
 * What a callback answers: a REKNOCK_ANSWER_ number. Any other number ends the call with REKNOCK_ERROR_CALLBACK.
 */
typedef int32_t reknock_answer;

/**
 * Writes the next bytes of a body to `buffer`, at most `size`, and how many to `*written`; none at the end of the body. It may block,
 * but nothing can interrupt it, and the call's timeouts go on. Answers DEFAULT, or ERROR, which ends the call with
 * REKNOCK_ERROR_CALLBACK.
 */
typedef reknock_answer (*reknock_read_fn)(void *user_data, uint8_t *buffer, size_t size, size_t *written);

/**
 * Goes back to the start of a body. Called before the first read of each attempt, the first attempt included. Answers DEFAULT, or
 * ERROR, which ends the call with REKNOCK_ERROR_CALLBACK.
 */
typedef reknock_answer (*reknock_rewind_fn)(void *user_data);

/**
 * Frees the user_data of a callback.
 */
typedef void (*reknock_free_fn)(void *user_data);

/**
 * What a client can be told. Begin with REKNOCK_CLIENT_OPTIONS_INIT; a field that is zero or NULL has its default.
 *
 * Everything is copied: pointers need to live until reknock_client_new returns.
 */
typedef struct reknock_client_options {
  /**
   * sizeof(reknock_client_options). Tells the library which fields the program knows.
   */
  size_t struct_size;
  /**
   * The policy of all calls that bring none of their own. Default: 2 retries of idempotent requests.
   */
  const struct reknock_policy *policy;
  /**
   * What the relative URLs of reknock_client_request_new are appended to. Default: none.
   */
  const char *base_url;
  /**
   * Header fields of all requests that do not bring them themselves.
   */
  const struct reknock_header *headers;
  /**
   * How many they are.
   */
  size_t header_count;
  /**
   * The largest response body, decompressed, that is read into memory, in bytes. Default: no limit.
   */
  uint64_t max_response_size;
  /**
   * Redirects followed per call, up to 1000; REKNOCK_NONE follows none. Default: 20.
   */
  int32_t max_redirects;
  /**
   * Not 0: redirects from https to http are followed too.
   */
  int32_t allow_downgrade;
  /**
   * Which HTTP versions to speak: REKNOCK_HTTP2_ONLY or REKNOCK_HTTP2_NONE. Default: HTTP/2 where TLS offers it.
   */
  int32_t http2;
  /**
   * Not 0: bodies are not asked for and handed out compressed.
   */
  int32_t no_compression;
  /**
   * An http, https, socks5 or socks5h proxy for everything, userinfo allowed; "" for none. Default: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY.
   */
  const char *proxy;
  /**
   * How long an unused connection is kept, in milliseconds; REKNOCK_UNLIMITED_MS for as long as the server does. Default: 4 s.
   */
  uint64_t pool_idle_timeout_ms;
  /**
   * Unused connections kept per origin, up to 100000; REKNOCK_NONE keeps none. Default: 1000.
   */
  int32_t pool_max_idle_per_host;
  /**
   * Not 0: certificates are not checked. Anybody in between can then read and change everything.
   */
  int32_t no_verify;
  /**
   * Not 0: the system's root certificates are not trusted, only those of ca_pem.
   */
  int32_t no_system_roots;
  /**
   * Root certificates to trust, in PEM.
   */
  const uint8_t *ca_pem;
  /**
   * Their size in bytes.
   */
  size_t ca_pem_length;
  /**
   * The certificate to show to servers that ask for one, then its intermediates, in PEM.
   */
  const uint8_t *cert_pem;
  /**
   * Their size in bytes.
   */
  size_t cert_pem_length;
  /**
   * The private key in PEM; NULL if it is among the certificates.
   */
  const uint8_t *key_pem;
  /**
   * Its size in bytes.
   */
  size_t key_pem_length;
  /**
   * Basic credentials of all requests that have none of their own. Default: none.
   */
  const char *username;
  /**
   * Their password. Default: empty.
   */
  const char *password;
  /**
   * The IP address to connect from, such as "192.0.2.7"; a server's addresses of the other family are passed over. Default: as the system has it.
   */
  const char *local_address;
  /**
   * Not 0: `x-envoy-retry-on` and its kin on a request change its policy, as in Envoy.
   */
  int32_t envoy_headers;
  /**
   * Budgets to share with other clients and with reknock_retry, whose times must then be those of CLOCK_MONOTONIC. Default: its own.
   */
  const struct reknock_budgets *budgets;
  /**
   * How long the peer of an HTTP/2 connection is silent, while requests are open, before it is asked for a sign of life, in milliseconds;
   * REKNOCK_UNLIMITED_MS asks never. After as long again the connection is lost. Default: 5 s.
   */
  uint64_t http2_ping_ms;
  /**
   * Where cookies that servers set are kept, and sent back from. Default: they are not.
   */
  const struct reknock_cookies *cookies;
  /**
   * Where budgets with `share: host` are: the absolute path of a directory that is this user's alone. Default: that of the environment's
   * REKNOCK_BUDGET_DIR, else /dev/shm/reknock-UID.
   */
  const char *budget_dir;
  /**
   * Not 0: a budget with `share: host` that cannot be shared is an error of kind config; else it is the process's alone, and its reading says why.
   */
  int32_t share_required;
  /**
   * In place of `policy`: policies, and rules that choose one for each call by its first URL.
   */
  const struct reknock_policy_set *policy_set;
  /**
   * The path of a Unix socket to connect to in place of any address, whatever the URL's host; no proxy is used then. Default: none.
   */
  const char *unix_socket;
  /**
   * The network interface to connect from, such as "eth0" (Linux and Android). Default: as the system has it.
   */
  const char *interface_name;
  /**
   * The most connections that are open at once, unused ones included, up to 100000. Calls beyond wait in order: no attempt's time, only the
   * policy's timeout goes on. Default: 512.
   */
  uint32_t max_connections;
  /**
   * Likewise, to one origin. Default: 256.
   */
  uint32_t max_connections_per_origin;
} reknock_client_options;

/**
 * One attempt and how it ended, as callbacks see it. It and all it points to live until the callback returns.
 */
typedef struct reknock_attempt {
  /**
   * From 1.
   */
  uint32_t number;
  /**
   * Retries left, the one in question included.
   */
  uint32_t retries_left;
  /**
   * Since the start of the call, in microseconds.
   */
  uint64_t elapsed_us;
  /**
   * The response's status, or 0 on failures before a response head.
   */
  int32_t http_status;
  /**
   * How it failed, or REKNOCK_OK.
   */
  reknock_status error;
  /**
   * One line about the failure, or NULL.
   */
  const char *message;
  /**
   * Whether the server may have acted on it.
   */
  reknock_evidence evidence;
  /**
   * 1 if the policy would retry it, else 0.
   */
  int32_t verdict;
  /**
   * The wait the server asks for, in microseconds, or -1.
   */
  int64_t hint_us;
  /**
   * The wait the policy would take, in microseconds; -1 if the server asks for a longer one than allowed.
   */
  int64_t planned_wait_us;
  /**
   * The request's method.
   */
  const char *method;
  /**
   * The request's URL.
   */
  const char *url;
  /**
   * The request's header fields.
   */
  const struct reknock_header *request_headers;
  /**
   * How many they are.
   */
  size_t request_header_count;
  /**
   * The response's header fields.
   */
  const struct reknock_header *headers;
  /**
   * How many they are; 0 on failures before a response head.
   */
  size_t header_count;
  /**
   * The response's body if reknock_client_set_retry_if asked for it, else NULL. Not NUL-terminated.
   */
  const uint8_t *body;
  /**
   * Its size in bytes.
   */
  size_t body_length;
  /**
   * The number of the call, unique in the process, from 1.
   */
  uint64_t call_id;
  /**
   * What the program names the call (reknock_request_set_name), or NULL.
   */
  const char *name;
} reknock_attempt;

/**
 * Asked after every completed attempt, 2xx included, while a retry is possible; not about what stop_headers match. It adds to the policy: answers
 * DEFAULT (nothing to add), RETRY, STOP, ERROR, or WAIT after writing `*wait_ms` (0 is now; server hints then do not apply).
 */
typedef reknock_answer (*reknock_retry_if_fn)(void *user_data, const struct reknock_attempt *attempt, uint64_t *wait_ms);

/**
 * Asked for the wait before a retry that was decided, in place of the policy's back-off; server hints still apply. Answers
 * DEFAULT, ERROR, or WAIT after writing `*wait_ms`.
 */
typedef reknock_answer (*reknock_delay_fn)(void *user_data, const struct reknock_attempt *attempt, uint64_t *wait_ms);

/**
 * Edits the request of the next attempt alone, after the wait: header fields, URL, body. Edits do not accumulate. The request
 * is the library's: do not free it. Answers DEFAULT to send it, or ERROR.
 */
typedef reknock_answer (*reknock_before_retry_fn)(void *user_data,
                                                  const struct reknock_attempt *attempt,
                                                  struct reknock_request *request);

/**
 * What observers are told of: a REKNOCK_EVENT_ number.
 */
typedef int32_t reknock_event_kind;

/**
 * How much an event matters: a REKNOCK_LEVEL_ number.
 */
typedef int32_t reknock_level;

/**
 * What a notice is about: a REKNOCK_NOTICE_ number.
 */
typedef int32_t reknock_notice;

/**
 * What observers are told. It and all it points to live until the callback returns. Later versions may append fields; the library alone makes these
 * structs.
 */
typedef struct reknock_event {
  /**
   * Which event this is.
   */
  reknock_event_kind kind;
  /**
   * At the end: why nothing further was sent. Else 0.
   */
  reknock_stop_reason stop_reason;
  /**
   * The attempt that it is about; at the end: all attempts.
   */
  const struct reknock_attempt_record *attempts;
  /**
   * How many they are.
   */
  size_t attempt_count;
  /**
   * Where an attempt goes that starts, or where a redirect leads, query values removed. Else NULL.
   */
  const char *target;
  /**
   * All of it in one line, for logs.
   */
  const char *text;
  /**
   * How much it matters.
   */
  reknock_level level;
  /**
   * At the end: 1 if the call failed, with an error or with a response that would have been retried if it could have been. Else 0.
   */
  int32_t failed;
  /**
   * The number of the call that it is about, unique in the process, from 1; 0 for notices about none.
   */
  uint64_t call_id;
  /**
   * The method that the call was made with, or NULL.
   */
  const char *method;
  /**
   * The URL that the call was made to, without userinfo and the values of its query, or NULL. Redirects do not change it.
   */
  const char *url;
  /**
   * That URL's scheme, host and port, or NULL.
   */
  const char *origin;
  /**
   * What the program names the call (reknock_request_set_name), or NULL.
   */
  const char *name;
  /**
   * At the start of an attempt: the method that it sends. Else NULL.
   */
  const char *attempt_method;
  /**
   * Of a retry: why, as a status ("503") or the name of a kind of failure ("connect"). Else NULL.
   */
  const char *reason;
  /**
   * Of a notice: what it is about. Else 0.
   */
  reknock_notice notice;
  /**
   * The number of the attempt that it is about, or 0.
   */
  uint32_t number;
  /**
   * Of an interim answer: its status. Else 0.
   */
  int32_t interim_status;
  /**
   * At the end: since the start of the call, in microseconds. Else 0.
   */
  uint64_t elapsed_us;
} reknock_event;

/**
 * Told of attempts, interim answers, retries, redirects, notices and the end.
 */
typedef void (*reknock_on_event_fn)(void *user_data, const struct reknock_event *event);

/**
 * How far the bodies of a call's present attempt are. It lives until the callback returns. Later versions may append fields; the library alone makes these
 * structs.
 */
typedef struct reknock_transfer {
  /**
   * The number of the attempt, from 1, over all redirect hops. With each attempt the bytes begin anew.
   */
  uint32_t number;
  /**
   * Bytes of the request's body that its connection took.
   */
  uint64_t sent;
  /**
   * How many they will be; -1 if that is not known.
   */
  int64_t send_total;
  /**
   * Bytes of the response's body that were read, decoded. 0 if the response is streamed: the program reads it then.
   */
  uint64_t received;
  /**
   * How many they will be; -1 if that is not known: there is no content-length, or a coding is undone (no_compression of the client asks for none).
   */
  int64_t receive_total;
} reknock_transfer;

/**
 * Told how much of a call's bodies has moved, where its other functions run: when an attempt begins, when bytes moved, and about once a second while none
 * do; several moves may be told as one, the last ones of a call that got a response always are. Nothing is told once the call is complete. Answers
 * DEFAULT to go on; any other answer cancels the call, which then ends with REKNOCK_ERROR_CANCELLED unless it is over already.
 */
typedef reknock_answer (*reknock_on_transfer_fn)(void *user_data, const struct reknock_transfer *transfer);

/**
 * What one call wants that differs from its client. Begin with REKNOCK_CALL_OPTIONS_INIT; a field that is zero or NULL is as
 * the client has it. Everything is copied or counted: nothing needs to outlive the function that takes it.
 */
typedef struct reknock_call_options {
  /**
   * sizeof(reknock_call_options). Tells the library which fields the program knows.
   */
  size_t struct_size;
  /**
   * Another policy.
   */
  const struct reknock_policy *policy;
  /**
   * What may cancel the call, and the reading of its body.
   */
  const struct reknock_cancel *cancel;
  /**
   * Redirects followed, up to 1000; REKNOCK_NONE follows none.
   */
  int32_t max_redirects;
  /**
   * A function of this call in place of the client's of this name, as are the next three. They run where the client's do. Default: the client's.
   */
  reknock_retry_if_fn retry_if;
  /**
   * Not 0: the response's body is read before this retry_if is asked.
   */
  int32_t retry_if_body;
  /**
   * See retry_if.
   */
  reknock_delay_fn delay;
  /**
   * See retry_if.
   */
  reknock_before_retry_fn before_retry;
  /**
   * See retry_if.
   */
  reknock_on_event_fn on_event;
  /**
   * Told how much of this call's bodies has moved; it may end the call. Default: none.
   */
  reknock_on_transfer_fn on_transfer;
  /**
   * What the functions of this call are given.
   */
  void *user_data;
  /**
   * Frees user_data: once for each function that is given these options, on any thread, when its call can use it no more, or at once if it fails; not if
   * struct_size is none. Default: nothing is freed.
   */
  reknock_free_fn free_user_data;
} reknock_call_options;

/**
 * The number of a call on its queue: from 1, never used again. Not a handle: it needs no freeing.
 */
typedef uint64_t reknock_call;

/**
 * How a call or a read ended. Its fields do not change within an ABI.
 */
typedef struct reknock_completion {
  /**
   * The number that submitting it gave.
   */
  reknock_call call;
  /**
   * What submitting it was given.
   */
  void *user_data;
  /**
   * REKNOCK_OK, or why it failed.
   */
  reknock_status status;
  /**
   * The response, if the status is REKNOCK_OK, else NULL. Free it with reknock_response_free. After reknock_response_submit_read
   * it is the response that is read, which the program has already.
   */
  struct reknock_response *response;
  /**
   * The error, if the status is not REKNOCK_OK, else NULL. Free it with reknock_error_free.
   */
  struct reknock_error *error;
} reknock_completion;

/**
 * What a budget has and what it did, at one moment. Its fields do not change within an ABI.
 */
typedef struct reknock_budget_reading {
  /**
   * Retries that would be granted now. May be below zero when deposits ran out before the withdrawals they paid for.
   */
  int64_t balance;
  /**
   * Deposits made (ratio), or sends begun (concurrency).
   */
  uint64_t deposits;
  /**
   * Retries granted, without those given back.
   */
  uint64_t withdrawals;
  /**
   * Retries refused.
   */
  uint64_t refusals;
  /**
   * Of the deposits, those of this process; the others are those of all who share it.
   */
  uint64_t own_deposits;
  /**
   * Of the withdrawals, those of this process.
   */
  uint64_t own_withdrawals;
  /**
   * Of the refusals, those of this process.
   */
  uint64_t own_refusals;
  /**
   * How often a host's purse began anew because somebody had scribbled on its file.
   */
  uint64_t resets;
  /**
   * 1 if the processes of the host share it; 0 also where the policy says `share: host` and it could not be had.
   */
  int32_t host;
  /**
   * The file of the host's purse; or why a budget that should be the host's is the process's alone; else empty. At most 255 bytes of it.
   */
  char place[256];
} reknock_budget_reading;

/**
 * What is known of a call before it is sent. Begin with REKNOCK_RETRY_OPTIONS_INIT.
 */
typedef struct reknock_retry_options {
  /**
   * sizeof(reknock_retry_options). Tells the library which fields the program knows.
   */
  size_t struct_size;
  /**
   * The policy. Default: 2 retries of idempotent requests.
   */
  const struct reknock_policy *policy;
  /**
   * The budgets to share. Default: none is kept, whatever the policy says.
   */
  const struct reknock_budgets *budgets;
  /**
   * The request's method. Must be given.
   */
  const char *method;
  /**
   * Where it goes: a URL, by whose scheme, host and port the budget is found, or any name for what is no URL. Must be given if budgets
   * is, unless the policy's budget has another scope.
   */
  const char *origin;
  /**
   * Not 0: the request carries an Idempotency-Key that is not among headers.
   */
  int32_t has_idempotency_key;
  /**
   * Not 0: somebody is asked about every outcome, so that hints are read on every response.
   */
  int32_t asked;
  /**
   * Not 0: random waits are drawn from it, the same ones each time, for simulations and tests.
   */
  uint64_t seed;
  /**
   * The request's header fields: an Idempotency-Key among them counts. Default: none.
   */
  const struct reknock_header *headers;
  /**
   * How many.
   */
  size_t header_count;
  /**
   * Not 0: the call is made within an attempt of another one that retries: where it would be retried it ends with REKNOCK_STOP_NESTED.
   */
  int32_t nested;
} reknock_retry_options;

/**
 * What the policy thinks of an outcome. Its fields do not change within an ABI.
 */
typedef struct reknock_verdict {
  /**
   * 1 if the policy would retry it (if method, body, limits, deadline and budget agree), else 0.
   */
  int32_t retry;
  /**
   * Whether the server may have acted on it.
   */
  reknock_evidence evidence;
  /**
   * The wait the server asks for, unshortened, in nanoseconds, or -1.
   */
  int64_t hint_ns;
  /**
   * The policy's own back-off before the next retry, in nanoseconds.
   */
  uint64_t backoff_ns;
  /**
   * The wait a retry would have by the policy alone, in nanoseconds; -1 if the server asks for too long a one.
   */
  int64_t planned_wait_ns;
} reknock_verdict;

/**
 * What callbacks of yours said about an outcome. Begin with REKNOCK_RETRY_ANSWER_INIT; zero is that nobody was asked.
 */
typedef struct reknock_retry_answer {
  /**
   * sizeof(reknock_retry_answer). Tells the library which fields the program knows.
   */
  size_t struct_size;
  /**
   * REKNOCK_ANSWER_DEFAULT, _RETRY, _STOP, or _WAIT: retry after exactly wait_ms; hints do not apply.
   */
  reknock_answer answer;
  /**
   * Not 0: backoff_ms stands for the policy's own back-off; hints apply.
   */
  int32_t has_backoff;
  /**
   * See answer.
   */
  uint64_t wait_ms;
  /**
   * See has_backoff.
   */
  uint64_t backoff_ms;
} reknock_retry_answer;

/**
 * What happens next. Its fields do not change within an ABI.
 */
typedef struct reknock_decision {
  /**
   * 1: wait for wait_ns, then call reknock_retry_attempt and send again. 0: the outcome is the call's.
   */
  int32_t retry;
  /**
   * Why it is not sent again; 0 if it is.
   */
  reknock_stop_reason stop_reason;
  /**
   * From now, in nanoseconds.
   */
  uint64_t wait_ns;
} reknock_decision;

/**
 * The limits of one attempt, in nanoseconds, none longer than what is left of the call. -1 is no limit. Its fields do not change within an ABI.
 */
typedef struct reknock_limits {
  /**
   * Of making a connection.
   */
  int64_t connect_ns;
  /**
   * Of the attempt up to its response head.
   */
  int64_t per_try_ns;
  /**
   * Of silence while a body is written or read.
   */
  int64_t idle_ns;
  /**
   * What is left of the call.
   */
  int64_t remaining_ns;
  /**
   * The moment at which the call's time is over, on the clock of now_ns.
   */
  int64_t deadline_ns;
} reknock_limits;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is running, as a number: MAJOR * 1000000 + MINOR * 1000 + PATCH.
 *
 * Compare with REKNOCK_VERSION_NUMBER, the version of the header. Any thread.
 */
uint32_t reknock_version_number(void);

/**
 * The version of the library that is running, as a static text such as "0.1.0". Any thread.
 */
const char *reknock_version(void);

/**
 * The ABI of the library that is running. A program works with every library of the ABI it was compiled for
 * (REKNOCK_ABI_VERSION); the shared library carries the number in its soname. Any thread.
 */
uint32_t reknock_abi_version(void);

/**
 * The stable name of a status, such as "connect_timeout"; "ok" for REKNOCK_OK, "unknown" for a number that is none. Static.
 * Any thread.
 */
const char *reknock_status_name(reknock_status status);

/**
 * What a status means, in a sentence or two. Empty for REKNOCK_OK and for numbers that are none. Static. Any thread.
 */
const char *reknock_status_meaning(reknock_status status);

/**
 * Makes an error of the program's own in `*out`, without attempts: for functions that report as those of the library do. Free it with
 * reknock_error_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a status that is none of an error.
 */
reknock_status reknock_error_new(reknock_status status,
                                 const char *message,
                                 struct reknock_error **out);

/**
 * The status of an error. REKNOCK_OK for NULL.
 */
reknock_status reknock_error_status(const struct reknock_error *error);

/**
 * One line about what went wrong, without secrets: userinfo and query values of URLs are removed. It belongs to the error.
 * Empty for NULL.
 */
const char *reknock_error_message(const struct reknock_error *error);

/**
 * The status of the response whose body failed, if that is what happened, else 0; 0 for NULL.
 */
int32_t reknock_error_http_status(const struct reknock_error *error);

/**
 * What an error came of, one line each, from index 0: the next one is the reason of the one before. NULL beyond the last one, and for NULL. It belongs to the
 * error.
 */
const char *reknock_error_cause(const struct reknock_error *error,
                                size_t index);

/**
 * The system's number of what went wrong, such as ECONNREFUSED, or 0 if it was none of the system's; 0 for NULL.
 */
int32_t reknock_error_errno(const struct reknock_error *error);

/**
 * The number of the call that failed, unique in the process, from 1; 0 where none had begun, and for NULL.
 */
uint64_t reknock_error_call_id(const struct reknock_error *error);

/**
 * The method that the call was made with; NULL where none had begun, and for NULL. It belongs to the error.
 */
const char *reknock_error_method(const struct reknock_error *error);

/**
 * The URL that the call was made to, without userinfo and the values of its query; NULL where none had begun, and for NULL. It belongs to the error.
 */
const char *reknock_error_url(const struct reknock_error *error);

/**
 * What the program names the call (reknock_request_set_name); NULL if it has no name, and for NULL. It belongs to the error.
 */
const char *reknock_error_name(const struct reknock_error *error);

/**
 * How many attempts the call made. 0 when nothing was tried, and for NULL.
 */
size_t reknock_error_attempt_count(const struct reknock_error *error);

/**
 * The attempt at `index`, from 0; NULL beyond the last one, and for NULL. It belongs to the error.
 */
const struct reknock_attempt_record *reknock_error_attempt(const struct reknock_error *error, size_t index);

/**
 * Why nothing further was sent; 0 when nothing was tried, and for NULL.
 */
reknock_stop_reason reknock_error_stop_reason(const struct reknock_error *error);

/**
 * The call and its attempts as a short timeline for people, with the advice that fits the stop reason; empty when nothing was tried, and for
 * NULL. It belongs to the error.
 */
const char *reknock_error_explain(const struct reknock_error *error);

/**
 * Frees an error. NULL does nothing.
 */
void reknock_error_free(struct reknock_error *error);

/**
 * The size in bytes of the library's reknock_attempt_record, which may be larger than the program's. Any thread.
 */
size_t reknock_attempt_record_size(void);

/**
 * The stable name of a stop reason, such as "retries_exhausted"; "none" for 0, "unknown" for a number that is none. Static.
 * Any thread.
 */
const char *reknock_stop_reason_name(reknock_stop_reason reason);

/**
 * What to change if a stop reason is not what one wanted; empty where nothing went wrong. Static. Any thread.
 */
const char *reknock_stop_reason_advice(reknock_stop_reason reason);

/**
 * The stable name of an evidence: "not_sent", "refused" or "unknown". Static. Any thread.
 */
const char *reknock_evidence_name(reknock_evidence evidence);

/**
 * Reads a policy from a YAML, JSON, TOML or Ballerina file (by its name's ending) into `*out`. Free it with reknock_policy_free.
 * It may be in the words of another system: see reknock_policies_load.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix; likewise if the file cannot be read, or holds
 * several policies.
 */
reknock_status reknock_policy_load(const char *path,
                                   struct reknock_policy **out,
                                   struct reknock_error **error);

/**
 * Reads a policy from JSON text, such as `{"max_retries": 4, "backoff": {"base": "100ms"}}` into `*out`. A missing key means its default. Free it with
 * reknock_policy_free.
 *
 * Errors: as reknock_policy_load.
 */
reknock_status reknock_policy_from_json(const char *json,
                                        struct reknock_policy **out,
                                        struct reknock_error **error);

/**
 * As reknock_policy_from_json, of `length` bytes without a NUL at their end. Free it with reknock_policy_free.
 */
reknock_status reknock_policy_from_json_n(const char *json,
                                          size_t length,
                                          struct reknock_policy **out,
                                          struct reknock_error **error);

/**
 * Reads a policy from YAML text, such as `{max_retries: 4, backoff: {base: 100ms}}` into `*out`. A missing key means its default. Free it with
 * reknock_policy_free.
 *
 * Errors: as reknock_policy_load.
 */
reknock_status reknock_policy_from_yaml(const char *yaml,
                                        struct reknock_policy **out,
                                        struct reknock_error **error);

/**
 * As reknock_policy_from_yaml, of `length` bytes without a NUL at their end. Free it with reknock_policy_free.
 */
reknock_status reknock_policy_from_yaml_n(const char *yaml,
                                          size_t length,
                                          struct reknock_policy **out,
                                          struct reknock_error **error);

/**
 * Makes a policy in `*out` that is `policy` (NULL: the default one) with another value of one key, which is YAML: `reknock_policy_with(policy, "max_retries",
 * "3", &changed, &error)`, or `"backoff", "{base: 100ms, max: 5s}"`, which replaces the whole block. The first policy stays as it is. Free it with
 * reknock_policy_free.
 *
 * Errors: as reknock_policy_load.
 */
reknock_status reknock_policy_with(const struct reknock_policy *policy,
                                   const char *key,
                                   const char *value,
                                   struct reknock_policy **out,
                                   struct reknock_error **error);

/**
 * Reads a policy from TOML text into `*out`. A missing key means its default. Free it with
 * reknock_policy_free.
 *
 * Errors: as reknock_policy_load.
 */
reknock_status reknock_policy_from_toml(const char *toml, struct reknock_policy **out, struct reknock_error **error);

/**
 * Makes the policy of this name in `*out`: "default", "none", or what "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio",
 * "envoy-gateway" and "linkerd2" do unless told otherwise; or "llm", for the APIs of large language models. Free it with reknock_policy_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the names there are.
 */
reknock_status reknock_policy_preset(const char *name,
                                     struct reknock_policy **out,
                                     struct reknock_error **error);

/**
 * Makes a policy in `*out` of `base` with the keys of a JSON document in place of its own, one by one: for calls that differ from
 * their client in a key or two. `false` as the whole document means no retries. Free it with reknock_policy_free.
 *
 * Errors: as reknock_policy_load.
 */
reknock_status reknock_policy_merge_json(const struct reknock_policy *base,
                                         const char *json,
                                         struct reknock_policy **out,
                                         struct reknock_error **error);

/**
 * The whole policy as JSON text, defaults included. It belongs to the policy and lives as long. NULL for NULL. Any thread.
 */
const char *reknock_policy_to_json(const struct reknock_policy *policy);

/**
 * The whole policy as YAML text, defaults included. It belongs to the policy and lives as long. NULL for NULL. Any thread.
 */
const char *reknock_policy_to_yaml(const struct reknock_policy *policy);

/**
 * The policy in words: its document, the range of each wait, the worst case, what the budget may refuse, and what differs from the
 * document of another system that it was read from. It belongs to the policy and lives as long. Empty for NULL. Any thread.
 */
const char *reknock_policy_explain(const struct reknock_policy *policy);

/**
 * Frees a policy. NULL does nothing.
 */
void reknock_policy_free(struct reknock_policy *policy);

/**
 * Reads the set of a file into `*out`: YAML, JSON, TOML or Ballerina source, by its name's ending; ours, a policy's, or another system's.
 * `dialect` may be NULL: see reknock_policies_load. Free it with reknock_policy_set_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG if the file cannot be read, holds no policy, or has a mistake, told in its own words.
 */
reknock_status reknock_policy_set_load(const char *path,
                                       const char *dialect,
                                       struct reknock_policy_set **out,
                                       struct reknock_error **error);

/**
 * As reknock_policy_set_load, for clients that follow the file: their calls look at it at most once a second, and go on with what they have until a
 * change is read. What cannot be read changes nothing: reknock_client_policy_error says why. Free it with reknock_policy_set_free.
 */
reknock_status reknock_policy_set_watch(const char *path,
                                        const char *dialect,
                                        struct reknock_policy_set **out,
                                        struct reknock_error **error);

/**
 * As reknock_policy_set_load, of a text, whose language is recognised by its looks. Free it with reknock_policy_set_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG if it holds no policy, or has a mistake.
 */
reknock_status reknock_policy_set_read(const char *text,
                                       const char *dialect,
                                       struct reknock_policy_set **out,
                                       struct reknock_error **error);

/**
 * As reknock_policy_set_read, of `length` bytes without a NUL at their end; `dialect` may be NULL. Free it with reknock_policy_set_free.
 */
reknock_status reknock_policy_set_read_n(const char *text,
                                         size_t length,
                                         const char *dialect,
                                         struct reknock_policy_set **out,
                                         struct reknock_error **error);

/**
 * The whole set as JSON text. It belongs to the set and lives as long. NULL for NULL. Any thread.
 */
const char *reknock_policy_set_to_json(const struct reknock_policy_set *set);

/**
 * The whole set as YAML text, a policy and a rule a line. It belongs to the set and lives as long. NULL for NULL. Any thread.
 */
const char *reknock_policy_set_to_yaml(const struct reknock_policy_set *set);

/**
 * The rules and the policies in words. It belongs to the set and lives as long. Empty for NULL. Any thread.
 */
const char *reknock_policy_set_explain(const struct reknock_policy_set *set);

/**
 * How many notes there are on the set as a whole. 0 for NULL.
 */
size_t reknock_policy_set_note_count(const struct reknock_policy_set *set);

/**
 * A note on the set. It belongs to the set and lives as long. NULL beyond the last one, and for NULL.
 */
const char *reknock_policy_set_note(const struct reknock_policy_set *set, size_t index);

/**
 * Chooses the policy of a request into `*out`: a method and a URL, "GET http://shop.test/cart"; a URL alone means GET. Free it with
 * reknock_choice_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG if it is no such text.
 */
reknock_status reknock_policy_set_choose(const struct reknock_policy_set *set,
                                         const char *request,
                                         struct reknock_choice **out,
                                         struct reknock_error **error);

/**
 * The number of the rule that the request meets, from 1; 0 if it meets none, and for NULL.
 */
size_t reknock_choice_rule(const struct reknock_choice *choice);

/**
 * The name of its policy. It belongs to the choice. NULL for the only policy, for the library's defaults, and for NULL.
 */
const char *reknock_choice_policy_name(const struct reknock_choice *choice);

/**
 * Its policy, which belongs to the choice. NULL for NULL.
 */
const struct reknock_policy *reknock_choice_policy(const struct reknock_choice *choice);

/**
 * Which rule the request meets, and the policy in words. It belongs to the choice. Empty for NULL.
 */
const char *reknock_choice_explain(const struct reknock_choice *choice);

/**
 * Frees a choice, and with it what was returned of it. NULL does nothing.
 */
void reknock_choice_free(struct reknock_choice *choice);

/**
 * Frees a set. NULL does nothing.
 */
void reknock_policy_set_free(struct reknock_policy_set *set);

/**
 * Reads all policies of a file into `*out`: YAML, JSON, TOML or Ballerina source, by its name's ending. Free them with
 * reknock_policies_free.
 *
 * `dialect` is "reknock", "envoy", "kgateway", "linkerd", "ballerina", "ktor", "istio", "envoy-gateway" or "linkerd2"; NULL recognises it by the keys.
 *
 * Errors: REKNOCK_ERROR_CONFIG if the file cannot be read, holds no policy, or has a mistake, told in its own words.
 */
reknock_status reknock_policies_load(const char *path,
                                     const char *dialect,
                                     struct reknock_policies **out,
                                     struct reknock_error **error);

/**
 * As reknock_policies_load, of a text, whose language is recognised by its looks; `dialect` may be NULL. Free them with
 * reknock_policies_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG if it holds no policy, or has a mistake.
 */
reknock_status reknock_policies_read(const char *text,
                                     const char *dialect,
                                     struct reknock_policies **out,
                                     struct reknock_error **error);

/**
 * As reknock_policies_read, of `length` bytes without a NUL at their end. Free them with reknock_policies_free.
 */
reknock_status reknock_policies_read_n(const char *text,
                                       size_t length,
                                       const char *dialect,
                                       struct reknock_policies **out,
                                       struct reknock_error **error);

/**
 * How many there are, at least 1. 0 for NULL.
 */
size_t reknock_policies_count(const struct reknock_policies *policies);

/**
 * The policy at `index`, from 0; NULL beyond the last one, and for NULL. Do not free it.
 */
const struct reknock_policy *reknock_policies_at(const struct reknock_policies *policies, size_t index);

/**
 * Writes where the first policy with this name is to `*index`.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the names there are.
 */
reknock_status reknock_policies_find(const struct reknock_policies *policies,
                                     const char *name,
                                     size_t *index,
                                     struct reknock_error **error);

/**
 * What the document calls the policy at `index`: a route, a router, a resource; NULL if it has no name, beyond the last one, and
 * for NULL.
 */
const char *reknock_policies_name(const struct reknock_policies *policies,
                                  size_t index);

/**
 * Whose words the policy at `index` was written in, such as "envoy"; NULL beyond the last one, and for NULL.
 */
const char *reknock_policies_dialect(const struct reknock_policies *policies, size_t index);

/**
 * How many notes there are on the policy at `index`: things that reknock does not do as the original does. 0 for NULL.
 */
size_t reknock_policies_note_count(const struct reknock_policies *policies, size_t index);

/**
 * A note on the policy at `index`: where in the document, and what differs. NULL beyond the last one, and for NULL.
 */
const char *reknock_policies_note(const struct reknock_policies *policies, size_t index, size_t note);

/**
 * The policy at `index` in words, as reknock_policy_explain, with its dialect, name and notes. Empty beyond the last one, and for
 * NULL.
 */
const char *reknock_policies_explain(const struct reknock_policies *policies,
                                     size_t index);

/**
 * Frees the policies of a document, and with them what was returned of them. NULL does nothing.
 */
void reknock_policies_free(struct reknock_policies *policies);

/**
 * Runs a policy through a scenario, in virtual time, into `*out`. Free it with reknock_report_free.
 *
 * `scenario` is the name of a preset ("spike", "brown-out", "outage", "flapping", "rate-limit", "slow-start", "batch") or a JSON object
 * (its keys are on the page Simulate of the documentation). Takes a second for about two million attempts; does no I/O.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix.
 */
reknock_status reknock_policy_simulate(const struct reknock_policy *policy,
                                       const char *scenario,
                                       struct reknock_report **out,
                                       struct reknock_error **error);

/**
 * Runs each of these policies through the same scenario, as reknock_policy_simulate does, into `*out`, whose JSON has their results by
 * name ("policy" for one without). Free it with reknock_report_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix; two of the policies have the same name.
 */
reknock_status reknock_policies_compare(const struct reknock_policies *policies,
                                        const char *scenario,
                                        struct reknock_report **out,
                                        struct reknock_error **error);

/**
 * The result as JSON: the same bytes for the same policy, scenario and seeds in every language. It belongs to the report. Empty for NULL.
 */
const char *reknock_report_json(const struct reknock_report *report);

/**
 * A page with a table and pictures: one HTML file, light and dark, no network, no script. It belongs to the report. Empty for NULL.
 */
const char *reknock_report_html(const struct reknock_report *report);

/**
 * 1 if every rule of the scenario's `expect` holds, for every policy, else 0; 0 for NULL.
 */
int32_t reknock_report_passed(const struct reknock_report *report);

/**
 * Frees a report, and with it its texts. NULL does nothing.
 */
void reknock_report_free(struct reknock_report *report);

/**
 * Looks at a policy into `*out`: bounds that are proven, and settings that contradict each other or do harm. Free it with
 * reknock_lint_free.
 *
 * `surroundings` says where it will run, a JSON object with the keys "processes" (1..=1000000, default 1), "one_purse" (whether they
 * share one budget also without `share: host`, default false) and "capacity" (requests per second that the server can bear, default null);
 * NULL for the defaults.
 *
 * Errors: REKNOCK_ERROR_CONFIG with the key, the rule, the value found and the fix.
 */
reknock_status reknock_policy_lint(const struct reknock_policy *policy,
                                   const char *surroundings,
                                   struct reknock_lint **out,
                                   struct reknock_error **error);

/**
 * Bounds and findings as JSON. It belongs to the result. Empty for NULL.
 */
const char *reknock_lint_json(const struct reknock_lint *lint);

/**
 * The same for people, a line each. It belongs to the result. Empty for NULL.
 */
const char *reknock_lint_text(const struct reknock_lint *lint);

/**
 * The worst severity found: "note", "warning" or "error", a static string; NULL if nothing was found, and for NULL.
 */
const char *reknock_lint_worst(const struct reknock_lint *lint);

/**
 * Frees a result, and with it its texts. NULL does nothing.
 */
void reknock_lint_free(struct reknock_lint *lint);

/**
 * Makes a cancel token in `*out`. Free it with reknock_cancel_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
 */
reknock_status reknock_cancel_new(struct reknock_cancel **out, struct reknock_error **error);

/**
 * Ends the calls in flight that were given the token, and those to come, with REKNOCK_ERROR_CANCELLED, within 50 ms.
 *
 * Any thread, more than once; not from a signal handler. NULL does nothing.
 */
void reknock_cancel_trigger(const struct reknock_cancel *cancel);

/**
 * Waits on this thread for `ns` nanoseconds, or until the token is triggered: 1 if it was, else 0. With 0 it only looks. Without a token (NULL) the
 * wait is a whole one. Any thread.
 */
int32_t reknock_cancel_wait(const struct reknock_cancel *cancel,
                            uint64_t ns);

/**
 * Frees a token. NULL does nothing.
 */
void reknock_cancel_free(struct reknock_cancel *cancel);

/**
 * Makes a request without header fields and body in `*out`. Free it with reknock_request_free.
 *
 * `url` must be absolute, http or https. Userinfo in it becomes a basic `authorization` header; a fragment is not sent.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a method that is no token or a URL that cannot be sent to.
 */
reknock_status reknock_request_new(const char *method,
                                   const char *url,
                                   struct reknock_request **out,
                                   struct reknock_error **error);

/**
 * Names the calls of this request, for events, errors and telemetry: an operation or the template of a URL, such as "orders.get"; NULL for no name. It is
 * copied, and never sent.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL request and for text that is no UTF-8.
 */
reknock_status reknock_request_set_name(struct reknock_request *request,
                                        const char *name,
                                        struct reknock_error **error);

/**
 * Adds a header field line.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a name that is no token or a value with control characters; the request is unchanged.
 */
reknock_status reknock_request_add_header(struct reknock_request *request,
                                          const char *name,
                                          const char *value,
                                          struct reknock_error **error);

/**
 * As reknock_request_add_header, of counted texts without a NUL at their ends.
 */
reknock_status reknock_request_add_header_n(struct reknock_request *request,
                                            const char *name,
                                            size_t name_length,
                                            const char *value,
                                            size_t value_length,
                                            struct reknock_error **error);

/**
 * Sets a header field, in place of all lines with this name. A NULL value removes them.
 *
 * Errors: as reknock_request_add_header.
 */
reknock_status reknock_request_set_header(struct reknock_request *request,
                                          const char *name,
                                          const char *value,
                                          struct reknock_error **error);

/**
 * Sends it elsewhere; method, header fields and body stay. As in reknock_request_new.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a URL that cannot be sent to.
 */
reknock_status reknock_request_set_url(struct reknock_request *request, const char *url, struct reknock_error **error);

/**
 * Sets the body to a copy of `length` bytes; none by default. `bytes` may be NULL if `length` is 0.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT; REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it.
 */
reknock_status reknock_request_set_body(struct reknock_request *request,
                                        const uint8_t *body,
                                        size_t length,
                                        struct reknock_error **error);

/**
 * Sets the body to a file, read while it is sent and again for each attempt. It must not change meanwhile.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST if the file cannot be opened.
 */
reknock_status reknock_request_set_body_file(struct reknock_request *request,
                                             const char *path,
                                             struct reknock_error **error);

/**
 * The request's URL, without userinfo and fragment. It belongs to the request, until the next call of this function.
 * NULL for NULL.
 */
const char *reknock_request_url(struct reknock_request *request);

/**
 * Frees a request. Calls in flight are not concerned. NULL does nothing.
 */
void reknock_request_free(struct reknock_request *request);

/**
 * Appends a pair to the query of the request's URL, percent-encoded.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST if the URL becomes longer than HTTP carries (65,534 bytes).
 */
reknock_status reknock_request_add_query(struct reknock_request *request,
                                         const char *name,
                                         const char *value,
                                         struct reknock_error **error);

/**
 * Sets the body to a form of `count` pairs (application/x-www-form-urlencoded); `pairs` may be NULL if `count` is 0. Sets content-type, if there is none yet.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it; REKNOCK_ERROR_INVALID_ARGUMENT, also for a pair with a NULL.
 */
reknock_status reknock_request_set_form(struct reknock_request *request,
                                        const struct reknock_header *pairs,
                                        size_t count,
                                        struct reknock_error **error);

/**
 * Sets the body to a text that the program wrote as JSON: it is sent as it is. Sets content-type to application/json, if there is none yet.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST if the system has no memory for it.
 */
reknock_status reknock_request_set_json(struct reknock_request *request,
                                        const char *json,
                                        struct reknock_error **error);

/**
 * As reknock_request_set_json, of `length` bytes without a NUL at their end.
 */
reknock_status reknock_request_set_json_n(struct reknock_request *request,
                                          const char *json,
                                          size_t length,
                                          struct reknock_error **error);

/**
 * Sets basic credentials, in place of any there are. `password` may be NULL, which is an empty one.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT.
 */
reknock_status reknock_request_set_basic_auth(struct reknock_request *request,
                                              const char *username,
                                              const char *password,
                                              struct reknock_error **error);

/**
 * Sets a bearer token, in place of any credentials there are.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a token with control characters.
 */
reknock_status reknock_request_set_bearer_auth(struct reknock_request *request,
                                               const char *token,
                                               struct reknock_error **error);

/**
 * Makes a form without parts in `*out`. Free it with reknock_multipart_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
 */
reknock_status reknock_multipart_new(struct reknock_multipart **out, struct reknock_error **error);

/**
 * Adds a part of `length` bytes, which are copied; `bytes` may be NULL if `length` is 0. `file_name` and `content_type` may be NULL, as for a field of text.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a name, file name or content type with line breaks or of more than 64 KiB, and if the system has no
 * memory; the form is unchanged.
 */
reknock_status reknock_multipart_add(struct reknock_multipart *form,
                                     const char *name,
                                     const char *file_name,
                                     const char *content_type,
                                     const uint8_t *body,
                                     size_t length,
                                     struct reknock_error **error);

/**
 * Adds a part that is a file, read while it is sent and again for each attempt. It must not change meanwhile. `file_name` is what the server is told: NULL
 * for the last part of the path. `content_type` may be NULL.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST if the file cannot be opened, and as reknock_multipart_add.
 */
reknock_status reknock_multipart_add_file(struct reknock_multipart *form,
                                          const char *name,
                                          const char *path,
                                          const char *file_name,
                                          const char *content_type,
                                          struct reknock_error **error);

/**
 * Sets the body to a form as it is now, and content-type, which names its boundary. The form may be changed, used again and freed afterwards.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT.
 */
reknock_status reknock_request_set_multipart(struct reknock_request *request,
                                             const struct reknock_multipart *form,
                                             struct reknock_error **error);

/**
 * Frees a form. Requests that were given it are not concerned. NULL does nothing.
 */
void reknock_multipart_free(struct reknock_multipart *form);

/**
 * Sets the body to what `read` produces while it is sent, 64 KiB at a time.
 *
 * The functions run where the client's callbacks do: on the thread that sends, streams or reads, or that drains the queue; one
 * thread at a time. `rewind` may be NULL: such a request can be sent once, and a retry needs all of the body that was sent to be in
 * the policy's max_body_buffer. With it the request can be sent any number of times, but not twice at once, nor by these functions.
 * `length` in bytes becomes the content-length; REKNOCK_LENGTH_UNKNOWN if it is not known.
 *
 * The functions are not called any more once the call is complete; of a streamed response, once that is freed. free_user_data,
 * which may be NULL, is called once, on any thread, the library's included, when the request is freed, or has another body, and its
 * calls are over, or at once if this fails. The functions must return: no longjmp, no C++ exception.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL request or read, or a length below -1. Of the call: REKNOCK_ERROR_CALLBACK if a
 * function answers so, REKNOCK_ERROR_INVALID_REQUEST if the body is not as long as it was said to be.
 */
reknock_status reknock_request_set_body_stream(struct reknock_request *request,
                                               reknock_read_fn read,
                                               reknock_rewind_fn rewind,
                                               int64_t length,
                                               void *user_data,
                                               reknock_free_fn free_user_data,
                                               struct reknock_error **error);

/**
 * Makes a client in `*out`. Free it with reknock_client_free. NULL options are all defaults.
 *
 * Errors: REKNOCK_ERROR_CONFIG for options that cannot be, such as PEM that is none or a budget's name that is in use with
 * other parameters; REKNOCK_ERROR_INVALID_ARGUMENT, also for a password without a username and a key without a certificate.
 */
reknock_status reknock_client_new(const struct reknock_client_options *options,
                                  struct reknock_client **out,
                                  struct reknock_error **error);

/**
 * Gives the client other policies, for calls that begin from now on; those in flight keep theirs, and budgets with the same parameters go on. A
 * budget's name that has others now is a fresh purse, for all clients of the process. The set may be freed at once. Any thread.
 *
 * Errors: REKNOCK_ERROR_CONFIG if a budget has to be the host's (`share_required`) and cannot; nothing is changed then.
 */
reknock_status reknock_client_set_policy(const struct reknock_client *client,
                                         const struct reknock_policy_set *set,
                                         struct reknock_error **error);

/**
 * REKNOCK_OK if the last change of the file that the client follows was taken, and if it follows none (reknock_policy_set_watch). Any thread.
 *
 * Errors: REKNOCK_ERROR_CONFIG with what is wrong with the file.
 */
reknock_status reknock_client_policy_error(const struct reknock_client *client,
                                           struct reknock_error **error);

/**
 * Ends the calls in flight with REKNOCK_ERROR_CLOSED, and those to come. Any thread, more than once. NULL does nothing.
 */
void reknock_client_close(const struct reknock_client *client);

/**
 * Frees a client. Calls in flight go on; reknock_client_close ends them. NULL does nothing.
 */
void reknock_client_free(struct reknock_client *client);

/**
 * As reknock_request_new, with a URL that may be relative to the client's base_url: `http://host/v1` and `users` or `/users`
 * make `http://host/v1/users`.
 */
reknock_status reknock_client_request_new(const struct reknock_client *client,
                                          const char *method,
                                          const char *url,
                                          struct reknock_request **out,
                                          struct reknock_error **error);

/**
 * Stops the library in this process, its thread included, for good: calls on queues complete with REKNOCK_ERROR_CLOSED, and every later
 * call fails with it. Optional; for programs that unload the library or want nothing left at their end.
 *
 * No blocking call may be in flight. More than once does nothing more. Handles may be freed before and after.
 */
void reknock_shutdown(void);

/**
 * Sends a request, retries it as the policy says, reads the whole response into `*out`. Free it with reknock_response_free.
 *
 * Blocks the calling thread until the call is over; the client's callbacks run on this thread, and may make calls of their own.
 * Signals are not handled. `options` may be NULL.
 *
 * Errors: the original failure of the last attempt, or REKNOCK_ERROR_DEADLINE, with the attempts and the stop reason. A response
 * of any status is no error.
 */
reknock_status reknock_client_send(const struct reknock_client *client,
                                   const struct reknock_request *request,
                                   const struct reknock_call_options *options,
                                   struct reknock_response **out,
                                   struct reknock_error **error);

/**
 * As reknock_client_send, but returns once the response's head is there: read its body with reknock_response_read.
 *
 * The policy's timeout is over with the head; its idle_timeout limits each read. What cancels the call, and closing the client, ends
 * reads too. A body that breaks is an error of the read, never retried.
 */
reknock_status reknock_client_stream(const struct reknock_client *client,
                                     const struct reknock_request *request,
                                     const struct reknock_call_options *options,
                                     struct reknock_response **out,
                                     struct reknock_error **error);

/**
 * Sets the function that is asked about every completed attempt; NULL for none. See reknock_retry_if_fn.
 *
 * It runs on the calling thread of blocking calls, and on the thread that drains the queue for others: several at once, if
 * several threads call. Calls begun before keep the function they began with; free_user_data, which may be NULL, is called once,
 * on any of these threads, when no call can use it any more, or at once if this fails. Callbacks must return: no longjmp, no C++
 * exception. with_body not 0: the response's body is read before it is asked.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT for a NULL client.
 */
reknock_status reknock_client_set_retry_if(const struct reknock_client *client,
                                           reknock_retry_if_fn function,
                                           int32_t with_body,
                                           void *user_data,
                                           reknock_free_fn free_user_data,
                                           struct reknock_error **error);

/**
 * Sets the function that is asked for the wait before a retry; NULL for none. Threads, lifetime and errors as
 * reknock_client_set_retry_if. See reknock_delay_fn.
 */
reknock_status reknock_client_set_delay(const struct reknock_client *client,
                                        reknock_delay_fn function,
                                        void *user_data,
                                        reknock_free_fn free_user_data,
                                        struct reknock_error **error);

/**
 * Sets the function that edits the request of a retry; NULL for none. Threads, lifetime and errors as
 * reknock_client_set_retry_if. See reknock_before_retry_fn.
 */
reknock_status reknock_client_set_before_retry(const struct reknock_client *client,
                                               reknock_before_retry_fn function,
                                               void *user_data,
                                               reknock_free_fn free_user_data,
                                               struct reknock_error **error);

/**
 * Sets the function that is told of attempts, retries, redirects, notices and the end of calls; NULL for none. Threads, lifetime and errors as
 * reknock_client_set_retry_if. See reknock_on_event_fn.
 */
reknock_status reknock_client_set_on_event(const struct reknock_client *client,
                                           reknock_on_event_fn function,
                                           void *user_data,
                                           reknock_free_fn free_user_data,
                                           struct reknock_error **error);

/**
 * The status, such as 200. 0 for NULL.
 */
int32_t reknock_response_status(const struct reknock_response *response);

/**
 * The body, decoded; its size goes to `*length` (which may be NULL). Not NUL-terminated. Of a streamed response it is empty.
 * NULL for NULL, which writes nothing.
 */
const uint8_t *reknock_response_body(const struct reknock_response *response,
                                     size_t *length);

/**
 * Reads up to `size` bytes of the body into `buffer`, and how many to `*read`: 0 at its end. Blocks until there are some. Reads what
 * reknock_client_stream left to come; a whole response can be read likewise, from its start. One thread at a time.
 *
 * Errors: REKNOCK_ERROR_BODY if the body is cut, corrupt, of another length than announced, or silent for the policy's
 * idle_timeout; REKNOCK_ERROR_CLOSED if a function that produces the request's body frees the response meanwhile.
 */
reknock_status reknock_response_read(struct reknock_response *response,
                                     uint8_t *buffer,
                                     size_t size,
                                     size_t *read,
                                     struct reknock_error **error);

/**
 * The first value of a header, whatever the case of `name`; NULL if it is not there, and for NULL.
 */
const char *reknock_response_header(const struct reknock_response *response, const char *name);

/**
 * The value of the line number `index`, from 0, of a header, whatever the case of `name`; its size in bytes goes to `*length` (which may be NULL). The bytes are
 * those that came: mostly ASCII, maybe Latin-1 or UTF-8. NULL beyond the last line, and for NULL, which write nothing.
 */
const uint8_t *reknock_response_header_bytes(const struct reknock_response *response,
                                             const char *name,
                                             size_t index,
                                             size_t *length);

/**
 * All header field lines, `*count` of them. Those that describe a coding which was undone are removed.
 * NULL for NULL, which writes nothing.
 */
const struct reknock_header *reknock_response_headers(const struct reknock_response *response, size_t *count);

/**
 * The URL of the last attempt, after redirects, without userinfo and fragment. NULL for NULL.
 */
const char *reknock_response_url(const struct reknock_response *response);

/**
 * The version of HTTP that the response came with: 10 for 1.0, 11 for 1.1, 20 for 2. 0 for NULL.
 */
int32_t reknock_response_http_version(const struct reknock_response *response);

/**
 * From the start of the call to the last byte of the body, or to the head of a streamed response, in microseconds. 0 for NULL.
 */
uint64_t reknock_response_elapsed_us(const struct reknock_response *response);

/**
 * How many attempts the call made. 0 for NULL.
 */
size_t reknock_response_attempt_count(const struct reknock_response *response);

/**
 * The attempt at `index`, from 0; NULL beyond the last one, and for NULL.
 */
const struct reknock_attempt_record *reknock_response_attempt(const struct reknock_response *response, size_t index);

/**
 * Why nothing further was sent. 0 for NULL.
 */
reknock_stop_reason reknock_response_stop_reason(const struct reknock_response *response);

/**
 * The attempts as a short timeline for people, with the advice that fits the stop reason. Empty for NULL.
 */
const char *reknock_response_explain(const struct reknock_response *response);

/**
 * Frees a response and everything that belongs to it. NULL does nothing.
 */
void reknock_response_free(struct reknock_response *response);

/**
 * Makes a queue in `*out`. Free it with reknock_queue_free.
 *
 * Errors: REKNOCK_ERROR_INTERNAL if the system has no descriptors left.
 */
reknock_status reknock_queue_new(struct reknock_queue **out, struct reknock_error **error);

/**
 * The descriptor to poll (select, poll, epoll, kqueue) for reading. It is readable while reknock_queue_next may have something,
 * and after REKNOCK_EMPTY if there is more to do. It belongs to the queue: do not read, write or close it. -1 for NULL.
 */
int32_t reknock_queue_descriptor(const struct reknock_queue *queue);

/**
 * Takes the next completion into `*out`; if there is none, runs one of the callbacks that calls are waiting for, on this thread: completions come
 * first, so that a slow callback holds them up once. Never waits itself.
 *
 * Returns REKNOCK_OK with a completion, REKNOCK_EMPTY when there is none, and writes nothing then, or
 * REKNOCK_ERROR_INVALID_ARGUMENT (also in a forked child that inherited the queue). After REKNOCK_EMPTY poll the descriptor, which is readable at once if
 * other callbacks wait.
 */
reknock_status reknock_queue_next(const struct reknock_queue *queue,
                                  struct reknock_completion *out);

/**
 * How many calls are in flight or wait to be taken. 0 for NULL.
 */
size_t reknock_queue_pending(const struct reknock_queue *queue);

/**
 * Frees a queue and cancels its calls; also inside a callback, which is the last one then. NULL does nothing.
 */
void reknock_queue_free(struct reknock_queue *queue);

/**
 * Sends a request as reknock_client_send does, but returns at once with the call's number in `*out` (which may be NULL). The call
 * is completed on the queue, once, whatever happens to it, with this user_data. `options` may be NULL. The request, the
 * options and the client may be freed when this returns.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, REKNOCK_ERROR_CLOSED in a forked child that inherited the queue; the call's own come out
 * of the queue.
 */
reknock_status reknock_client_submit(const struct reknock_client *client,
                                     const struct reknock_request *request,
                                     const struct reknock_call_options *options,
                                     const struct reknock_queue *queue,
                                     void *user_data,
                                     reknock_call *out,
                                     struct reknock_error **error);

/**
 * As reknock_client_submit, but the call is completed once the response's head is there: read its body with
 * reknock_response_submit_read, or with reknock_response_read, which waits. See reknock_client_stream.
 */
reknock_status reknock_client_submit_stream(const struct reknock_client *client,
                                            const struct reknock_request *request,
                                            const struct reknock_call_options *options,
                                            const struct reknock_queue *queue,
                                            void *user_data,
                                            reknock_call *out,
                                            struct reknock_error **error);

/**
 * Waits for the next piece of a response's body, and returns at once with a number in `*out` (which may be NULL), which
 * reknock_call_cancel takes. The completion has this user_data and the response itself, not a new one:
 * reknock_response_read then does not wait. It gives 0 bytes at the end.
 *
 * Of responses of reknock_client_submit_stream, on any queue; one read at a time. Freeing the response cancels the read, and its completion
 * never comes. Freeing the queue does likewise, and what is read later of the response fails with REKNOCK_ERROR_CLOSED.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a response of another function and while another read is under way;
 * REKNOCK_ERROR_CLOSED in a forked child. Those of reknock_response_read come out of the queue.
 */
reknock_status reknock_response_submit_read(const struct reknock_response *response,
                                            const struct reknock_queue *queue,
                                            void *user_data,
                                            reknock_call *out,
                                            struct reknock_error **error);

/**
 * Ends a call or a read with REKNOCK_ERROR_CANCELLED; its completion still comes out of the queue, and if it was faster it is the
 * response. Any thread, more than once; numbers of calls that are over, and a NULL queue, do nothing.
 */
void reknock_call_cancel(const struct reknock_queue *queue,
                         reknock_call call);

/**
 * Makes an empty jar in `*out`. Free it with reknock_cookies_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
 */
reknock_status reknock_cookies_new(struct reknock_cookies **out, struct reknock_error **error);

/**
 * Sets a cookie without a domain. It goes along to whatever origin a call names, not to where redirects lead it.
 *
 * Errors: REKNOCK_ERROR_CONFIG for a name or a value that no header can carry. Values are not shown.
 */
reknock_status reknock_cookies_set(const struct reknock_cookies *cookies,
                                   const char *name,
                                   const char *value,
                                   struct reknock_error **error);

/**
 * Takes a `Set-Cookie` line as if `url` had answered with it; what the rules refuse is passed over.
 *
 * Errors: REKNOCK_ERROR_INVALID_REQUEST for a URL that is none.
 */
reknock_status reknock_cookies_store(const struct reknock_cookies *cookies,
                                     const char *url,
                                     const char *line,
                                     struct reknock_error **error);

/**
 * Writes what a request to `url` carries, the value of its `cookie` header and a NUL, to `buffer`, and its length without the NUL to `*length`. It is
 * written only if `size` is more than that: ask with a size of 0 how much it takes, `buffer` may be NULL then.
 *
 * Returns REKNOCK_OK, or REKNOCK_EMPTY if there is nothing, or REKNOCK_ERROR_INVALID_REQUEST for a URL that is none.
 */
reknock_status reknock_cookies_header(const struct reknock_cookies *cookies,
                                      const char *url,
                                      char *buffer,
                                      size_t size,
                                      size_t *length,
                                      struct reknock_error **error);

/**
 * Takes all cookies away. Any thread. NULL does nothing.
 */
void reknock_cookies_clear(const struct reknock_cookies *cookies);

/**
 * Frees a jar; clients that have it keep it. NULL does nothing.
 */
void reknock_cookies_free(struct reknock_cookies *cookies);

/**
 * Makes budgets in `*out`, all full. Free them with reknock_budgets_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL.
 */
reknock_status reknock_budgets_new(struct reknock_budgets **out, struct reknock_error **error);

/**
 * As reknock_budgets_new, for budgets with `share: host` in the directory `budget_dir`, an absolute path (NULL: the default one), which are
 * an error of the calls that need one where they cannot be had, if `share_required` is not 0.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT if out is NULL, REKNOCK_ERROR_CONFIG for a path that is not absolute.
 */
reknock_status reknock_budgets_new_in(const char *budget_dir,
                                      int32_t share_required,
                                      struct reknock_budgets **out,
                                      struct reknock_error **error);

/**
 * What the budget of `policy` (NULL: the default one) for calls to `origin` has at `now_ns`, in `*out`.
 *
 * Returns REKNOCK_OK, or REKNOCK_EMPTY if the policy has no budget or no call used it yet, and writes nothing then, or
 * REKNOCK_ERROR_INVALID_ARGUMENT.
 */
reknock_status reknock_budgets_reading(const struct reknock_budgets *budgets,
                                       const struct reknock_policy *policy,
                                       const char *origin,
                                       uint64_t now_ns,
                                       struct reknock_budget_reading *out);

/**
 * Frees budgets. NULL does nothing.
 */
void reknock_budgets_free(struct reknock_budgets *budgets);

/**
 * What the budget of the client's policy for calls to the origin of `url` (the rest of it is not looked at) has, in `*out`. Any thread.
 *
 * Returns REKNOCK_OK, or REKNOCK_EMPTY if the policy has no budget, no call used it yet, or `url` is no URL, and writes nothing then,
 * or REKNOCK_ERROR_INVALID_ARGUMENT.
 */
reknock_status reknock_client_budget(const struct reknock_client *client,
                                     const char *url,
                                     struct reknock_budget_reading *out);

/**
 * Begins a call at `now_ns` in `*out`: fixes its deadline and counts it in its budget. Free it with reknock_retry_finish or
 * reknock_retry_free.
 *
 * Errors: REKNOCK_ERROR_CONFIG if the policy names a budget that is in use with other parameters.
 */
reknock_status reknock_retry_new(const struct reknock_retry_options *options,
                                 uint64_t now_ns,
                                 struct reknock_retry **out,
                                 struct reknock_error **error);

/**
 * A redirect is followed: the next attempt is of another method or origin, counts in that budget, and is no retry. Method, origin, headers
 * and has_idempotency_key are those of `options`; the policy, the budgets, asked and the seed stay, and theirs are not looked at.
 *
 * Errors: as reknock_retry_new; REKNOCK_ERROR_INVALID_ARGUMENT where no attempt is under way.
 */
reknock_status reknock_retry_redirect(struct reknock_retry *retry,
                                      const struct reknock_retry_options *options,
                                      uint64_t now_ns,
                                      struct reknock_error **error);

/**
 * The next attempt is about to be sent; its number, from 1, goes to `*number` (which may be NULL).
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where the attempt before is not decided, or nothing is to be sent after it.
 */
reknock_status reknock_retry_attempt(struct reknock_retry *retry,
                                     uint64_t now_ns,
                                     uint32_t *number,
                                     struct reknock_error **error);

/**
 * The verdict on a response head, in `*out` (which may be NULL). `unix_ms` is the wall-clock time in milliseconds since 1970,
 * for hints that are dates. `headers` may be NULL if header_count is 0.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for a status that is no number of three digits, a header whose name or value is NULL,
 * and where no attempt is under way.
 */
reknock_status reknock_retry_classify_response(struct reknock_retry *retry,
                                               int32_t http_status,
                                               const struct reknock_header *headers,
                                               size_t header_count,
                                               int64_t unix_ms,
                                               uint64_t now_ns,
                                               struct reknock_verdict *out,
                                               struct reknock_error **error);

/**
 * The verdict on a failure, in `*out` (which may be NULL). `kind` is a REKNOCK_ERROR_ number, such as REKNOCK_ERROR_CONNECT. `evidence` is a
 * REKNOCK_EVIDENCE_ number; with `| REKNOCK_EVIDENCE_LOCAL` this machine alone is short of something.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also for numbers that are no kind and no evidence, and where no attempt is under way.
 */
reknock_status reknock_retry_classify_failure(struct reknock_retry *retry,
                                              reknock_status kind,
                                              reknock_evidence evidence,
                                              uint64_t now_ns,
                                              struct reknock_verdict *out,
                                              struct reknock_error **error);

/**
 * The verdict on an attempt that ended well without a status, in `*out` (which may be NULL): of what is no HTTP, or has no response. Only an answer has it
 * made again.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where no attempt is under way.
 */
reknock_status reknock_retry_classify_returned(struct reknock_retry *retry,
                                               uint64_t now_ns,
                                               struct reknock_verdict *out,
                                               struct reknock_error **error);

/**
 * What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were redirected, one
 * of which may have been executed.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also where nothing is classified.
 */
reknock_status reknock_retry_followed(struct reknock_retry *retry,
                                      struct reknock_error **error);

/**
 * What happens after the outcome that was classified last, in `*out`. `answer` may be NULL. replayable: not 0 if the request's
 * body can be produced again.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT, also if nothing was classified since the last attempt or decision.
 */
reknock_status reknock_retry_decide(struct reknock_retry *retry,
                                    const struct reknock_retry_answer *answer,
                                    int32_t replayable,
                                    uint64_t now_ns,
                                    struct reknock_decision *out,
                                    struct reknock_error **error);

/**
 * The call is over and its outcome goes to the caller; frees it. NULL does nothing.
 */
void reknock_retry_finish(struct reknock_retry *retry, uint64_t now_ns);

/**
 * The call is abandoned: gives back what it holds of its budget, and frees it. NULL does nothing.
 */
void reknock_retry_free(struct reknock_retry *retry);

/**
 * The time in nanoseconds that clients count by: CLOCK_MONOTONIC where there is one. What now_ns wants. Any thread.
 */
uint64_t reknock_now_ns(void);

/**
 * Whether the request may be sent again although the server may have acted on it: by its method or its idempotency key. 1 or 0; 0 for NULL.
 */
int32_t reknock_retry_is_idempotent(const struct reknock_retry *retry);

/**
 * Whether somebody is to be asked about the outcome that was classified last: retries are left, the body can be produced again
 * (replayable: not 0), there is time. 1 or 0; 0 for NULL.
 */
int32_t reknock_retry_is_worth_asking(const struct reknock_retry *retry,
                                      int32_t replayable,
                                      uint64_t now_ns);

/**
 * The limits of an attempt that is made at now_ns, in `*out`.
 *
 * Returns REKNOCK_OK, or REKNOCK_ERROR_INVALID_ARGUMENT if an argument is NULL.
 */
reknock_status reknock_retry_limits(const struct reknock_retry *retry, uint64_t now_ns, struct reknock_limits *out);

/**
 * Retries that may still be made; 0 for NULL.
 */
uint32_t reknock_retry_retries_left(const struct reknock_retry *retry);

/**
 * The largest one-shot body, in bytes, that is to be kept so that it can be sent again; 0 for NULL.
 */
uint64_t reknock_retry_max_body_buffer(const struct reknock_retry *retry);

/**
 * The header fields that the policy puts on the attempt under way, in place of the request's own of the same name: how many goes to `*count`.
 * They belong to the call, until this function is called again or the call ends. NULL if there are none, or for NULL.
 */
const struct reknock_header *reknock_retry_headers(struct reknock_retry *retry,
                                                   size_t *count);

/**
 * How many attempts were made; 0 for NULL.
 */
size_t reknock_retry_attempt_count(const struct reknock_retry *retry);

/**
 * What was sent, by its index from 0, or NULL. It belongs to the call, until the next function that changes it.
 */
const struct reknock_attempt_record *reknock_retry_record(const struct reknock_retry *retry, size_t index);

/**
 * Why nothing further was sent; 0 before that is decided, and for NULL.
 */
reknock_stop_reason reknock_retry_stop_reason(const struct reknock_retry *retry);

/**
 * The attempts as a short timeline, with the advice that fits the stop reason; NULL for NULL. It belongs to
 * the call, until the next function that changes it.
 */
const char *reknock_retry_explain(const struct reknock_retry *retry);

/**
 * Makes the policy of a request with these header fields in `*out`: `policy` as the x-envoy- headers among them change it, which are to be
 * removed before the request is sent (reknock_envoy_header). With a reknock_client its option envoy_headers does both. `headers` may be
 * NULL if header_count is 0. Free it with reknock_policy_free.
 *
 * Errors: REKNOCK_ERROR_INVALID_ARGUMENT alone, also for a header whose name or value is NULL. What cannot be read is ignored, as
 * Envoy does.
 */
reknock_status reknock_policy_with_envoy_headers(const struct reknock_policy *policy,
                                                 const struct reknock_header *headers,
                                                 size_t header_count,
                                                 struct reknock_policy **out,
                                                 struct reknock_error **error);

/**
 * The value of the header x-envoy-expected-rq-timeout-ms for an attempt that begins `elapsed_ms` milliseconds after its call: the time
 * the server has to answer, in milliseconds. 0: the policy has no limit, and the request no such header; likewise for NULL. Any thread.
 */
uint64_t reknock_policy_expected_rq_timeout_ms(const struct reknock_policy *policy,
                                               uint64_t elapsed_ms);

/**
 * The name at `index`, from 0, of the headers of a request that Envoy keeps to itself; NULL beyond the last one. Who sends a request
 * under reknock_policy_with_envoy_headers removes them. A static string, in lower case. Any thread.
 */
const char *reknock_envoy_header(size_t index);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* REKNOCK_H */


/*
 * Options at their defaults, to begin with:
 *
 *     reknock_client_options options = REKNOCK_CLIENT_OPTIONS_INIT;
 *     reknock_call_options options = REKNOCK_CALL_OPTIONS_INIT;
 *     reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
 *     reknock_retry_answer answer = REKNOCK_RETRY_ANSWER_INIT;
 */
#ifndef REKNOCK_OPTIONS_INIT
#define REKNOCK_OPTIONS_INIT
#ifdef __cplusplus
extern "C++" {
template <typename T> static inline T reknock_options_init() {
  T options = {};
  options.struct_size = sizeof(T);
  return options;
}
}
#define REKNOCK_CLIENT_OPTIONS_INIT reknock_options_init<reknock_client_options>()
#define REKNOCK_CALL_OPTIONS_INIT reknock_options_init<reknock_call_options>()
#define REKNOCK_RETRY_OPTIONS_INIT reknock_options_init<reknock_retry_options>()
#define REKNOCK_RETRY_ANSWER_INIT reknock_options_init<reknock_retry_answer>()
#else
#define REKNOCK_CLIENT_OPTIONS_INIT {.struct_size = sizeof(reknock_client_options)}
#define REKNOCK_CALL_OPTIONS_INIT {.struct_size = sizeof(reknock_call_options)}
#define REKNOCK_RETRY_OPTIONS_INIT {.struct_size = sizeof(reknock_retry_options)}
#define REKNOCK_RETRY_ANSWER_INIT {.struct_size = sizeof(reknock_retry_answer)}
#endif
#endif
