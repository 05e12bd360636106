/*
 * reknock_curl.h: retries for programs that keep libcurl. libcurl sends, reknock decides, waits, and tells what it did.
 *
 *     reknock_retry_options about = REKNOCK_RETRY_OPTIONS_INIT;
 *     about.policy = policy;
 *     about.budgets = budgets;
 *     about.method = "GET";
 *     about.origin = url;
 *     reknock_retry_new(&about, reknock_now_ns(), &retry, &error);
 *     reknock_curl_perform(curl, retry, NULL, &code, &error);    // in place of curl_easy_perform
 *     printf("%s", reknock_retry_explain(retry));
 *     reknock_retry_finish(retry, reknock_now_ns());
 *
 * Everything is in this header, which needs libcurl 7.84 or later with its headers API, and C99 or C++11.
 *
 * - The last attempt is the caller's: its CURLcode, and all that curl_easy_getinfo and curl_easy_header say of it. So is what the program's sink was
 *   given by the attempts before, unless `prepare` empties it.
 * - Redirects that libcurl follows (CURLOPT_FOLLOWLOCATION) are part of their attempt.
 * - On a kept connection that it finds dead libcurl sends again, and asks nobody: retries, and requests that must not be sent twice, have a new one.
 * - These options are set for each attempt, and set back after it to what reknock_curl_options says of them: CURLOPT_TIMEOUT_MS, CURLOPT_CONNECTTIMEOUT_MS,
 *   CURLOPT_FRESH_CONNECT, CURLOPT_NOPROGRESS, CURLOPT_XFERINFOFUNCTION, CURLOPT_XFERINFODATA; CURLOPT_HTTPHEADER if the policy adds header fields; on
 *   multi handles CURLOPT_LOW_SPEED_LIMIT and CURLOPT_LOW_SPEED_TIME, without which libcurl looks at nothing while nothing happens.
 * - The policy's timeout and connect_timeout are kept by libcurl. per_try_timeout, idle_timeout and `cancel` are looked at whenever libcurl tells of progress:
 *   about once a second.
 * - Memory is taken for header fields that the policy adds (by libcurl), and for responses with more than 64 header fields.
 *
 * Like an easy handle, a call is used by one thread at a time.
 */
#ifndef REKNOCK_CURL_H
#define REKNOCK_CURL_H

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <reknock.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if LIBCURL_VERSION_NUM < 0x075400
#error "reknock_curl.h needs libcurl 7.84 or later"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Called before each attempt: number, from 1, and the handle, of which it may set other options. Empties the sink and rewinds the body, if there are such.
 *  0 goes on; anything else ends the call with REKNOCK_ERROR_CALLBACK. */
typedef int (*reknock_curl_prepare_fn)(void *user_data, CURL *easy, uint32_t number);

/** Asked about an attempt and how it ended, while a retry is possible. Answers as reknock_retry_if_fn. The reknock_retry must have been made with `asked`. */
typedef reknock_answer (*reknock_curl_retry_if_fn)(void *user_data, CURL *easy, CURLcode code, uint64_t *wait_ms);

/** What a call wants. Begin with REKNOCK_CURL_OPTIONS_INIT; zero is the default. What libcurl was told and tells nobody has to be said here, too. */
typedef struct reknock_curl_options {
  /** See its type. Default: none. */
  reknock_curl_prepare_fn prepare;
  /** See its type. Default: none. */
  reknock_curl_retry_if_fn retry_if;
  /** Of both. */
  void *user_data;
  /** Not 0: the request's body can be sent again (CURLOPT_POSTFIELDS, MIME of memory and files, or what `prepare` rewinds). Default: a request of which
   *  something was uploaded, or whose method is POST, PUT or PATCH, is sent again only if it was not connected. */
  int replayable;
  /** Ends the call with REKNOCK_ERROR_CANCELLED: a wait at once, an attempt when libcurl tells of progress. Default: none. */
  const reknock_cancel *cancel;
  /** The program's CURLOPT_HTTPHEADER. Default: none. */
  struct curl_slist *headers;
  /** The program's CURLOPT_TIMEOUT_MS; of each attempt. Default: no limit. */
  long timeout_ms;
  /** The program's CURLOPT_CONNECTTIMEOUT_MS. Default: libcurl's. */
  long connect_timeout_ms;
  /** Not 0: the program's CURLOPT_FRESH_CONNECT is on. */
  int fresh_connect;
  /** The program's CURLOPT_LOW_SPEED_LIMIT, on multi handles, with its CURLOPT_LOW_SPEED_TIME. Default: none. */
  long low_speed_limit, low_speed_time;
  /** The program's CURLOPT_XFERINFOFUNCTION. Default: none. */
  curl_xferinfo_callback progress;
  /** Its CURLOPT_XFERINFODATA. */
  void *progress_data;
} reknock_curl_options;

#ifdef __cplusplus
#define REKNOCK_CURL_OPTIONS_INIT reknock_curl_options()
#else
#define REKNOCK_CURL_OPTIONS_INIT {NULL}
#endif

/** One call on its way. The program's, in one place until the call is over; made by reknock_curl_call_init. Only `code` is for reading. */
typedef struct reknock_curl_call {
  /** How the last attempt ended, in libcurl's words. An attempt that was ended by the policy's limits is CURLE_OPERATION_TIMEDOUT. */
  CURLcode code;
  CURL *easy;
  reknock_retry *retry;
  reknock_curl_options options;
  reknock_limits limits;
  struct curl_slist *sent;
  uint64_t moved_ns;
  curl_off_t moved;
  int stage, woken, uploaded;
  reknock_status ended;
} reknock_curl_call;

/** Makes a call of a handle and a reknock_retry, which stay the program's. `options` may be NULL. */
static inline void reknock_curl_call_init(reknock_curl_call *call, CURL *easy, reknock_retry *retry, const reknock_curl_options *options) {
  memset(call, 0, sizeof *call);
  call->easy = easy;
  call->retry = retry;
  if (options != NULL) call->options = *options;
}

/* A limit in the milliseconds of libcurl, where 0 is none: that of the policy (-1 is none) and the program's. */
static inline long reknock_curl_ms_(int64_t limit_ns, long theirs) {
  int64_t ms = limit_ns < 0 ? 0 : limit_ns / 1000000 + (limit_ns % 1000000 != 0 || limit_ns == 0);
  if (ms > LONG_MAX) ms = LONG_MAX;
  return ms == 0 || (theirs > 0 && theirs < ms) ? theirs : (long)ms;
}

static inline long reknock_curl_info_(CURL *easy, CURLINFO info) {
  long value = 0;
  curl_easy_getinfo(easy, info, &value);
  return value;
}

static inline curl_off_t reknock_curl_info_t_(CURL *easy, CURLINFO info) {
  curl_off_t value = 0;
  curl_easy_getinfo(easy, info, &value);
  return value;
}

static inline reknock_status reknock_curl_fault_(reknock_status status, const char *message, reknock_error **error) {
  if (error != NULL) reknock_error_new(status, message, error);
  return status;
}

/* Whether libcurl has followed a redirect, and the status is that redirect's: what it led to has not answered. */
static inline int reknock_curl_followed_(CURL *easy, long status) {
  return status / 100 == 3 && reknock_curl_info_(easy, CURLINFO_REDIRECT_COUNT) > 0;
}

/* Of libcurl's progress: the limits of silence, and the cancel. The stages: connecting, waiting for the head, reading the body. */
static inline int reknock_curl_progress_(void *data, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow) {
  reknock_curl_call *call = (reknock_curl_call *)data;
  uint64_t now_ns = reknock_now_ns();
  long status = reknock_curl_info_(call->easy, CURLINFO_RESPONSE_CODE);
  int head = status >= 200 && !reknock_curl_followed_(call->easy, status);
  int stage = head ? 2 : reknock_curl_info_t_(call->easy, CURLINFO_PRETRANSFER_TIME_T) > 0;
  int64_t limit_ns = stage == 0 ? -1 : stage == 1 ? call->limits.per_try_ns : call->limits.idle_ns;
  if (ulnow > 0) call->uploaded = 1;
  if (stage != call->stage || dlnow + ulnow != call->moved) {
    call->stage = stage;
    call->moved = dlnow + ulnow;
    call->moved_ns = now_ns;
  }
  if (call->options.cancel != NULL && reknock_cancel_wait(call->options.cancel, 0)) {
    call->ended = REKNOCK_ERROR_CANCELLED;
  } else if (limit_ns >= 0 && now_ns - call->moved_ns >= (uint64_t)limit_ns) {
    call->ended = stage == 1 ? REKNOCK_ERROR_PER_TRY_TIMEOUT : REKNOCK_ERROR_BODY;
  } else {
    return call->options.progress == NULL ? 0 : call->options.progress(call->options.progress_data, dltotal, dlnow, ultotal, ulnow);
  }
  return 1;
}

/* The policy's header fields, and those of the program's that have none of their names. */
static inline reknock_status reknock_curl_headers_(reknock_curl_call *call, reknock_error **error) {
  size_t count = 0, i;
  const reknock_header *fields = reknock_retry_headers(call->retry, &count);
  const struct curl_slist *own;
  struct curl_slist *all = NULL, *longer = NULL;
  char *line;
  if (fields == NULL || count == 0) return REKNOCK_OK;
  for (own = call->options.headers; own != NULL; own = own->next) {
    size_t length = strcspn(own->data, ":;");
    for (i = 0; i < count; i++) {
      if (strlen(fields[i].name) == length && curl_strnequal(own->data, fields[i].name, length)) break;
    }
    if (i < count) continue;
    if ((longer = curl_slist_append(all, own->data)) == NULL) goto none;
    all = longer;
  }
  for (i = 0; i < count; i++) {
    size_t name = strlen(fields[i].name), value = strlen(fields[i].value) + 1;
    if ((line = (char *)malloc(name + 2 + value)) == NULL) goto none;
    memcpy(line, fields[i].name, name);
    memcpy(line + name, ": ", 2);
    memcpy(line + name + 2, fields[i].value, value);
    longer = curl_slist_append(all, line); /* copies it */
    free(line);
    if (longer == NULL) goto none;
    all = longer;
  }
  call->sent = all;
  curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, all);
  return REKNOCK_OK;
none:
  curl_slist_free_all(all);
  return reknock_curl_fault_(REKNOCK_ERROR_INTERNAL, "no memory for the header fields of the policy", error);
}

/* Sets the handle's options back to what the program says that they are. */
static inline void reknock_curl_restore_(reknock_curl_call *call) {
  const reknock_curl_options *theirs = &call->options;
  curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, theirs->timeout_ms);
  curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, theirs->connect_timeout_ms);
  curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, theirs->fresh_connect ? 1L : 0L);
  curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, theirs->progress == NULL ? 1L : 0L);
  curl_easy_setopt(call->easy, CURLOPT_XFERINFOFUNCTION, theirs->progress);
  curl_easy_setopt(call->easy, CURLOPT_XFERINFODATA, theirs->progress_data);
  if (call->woken) {
    curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_LIMIT, theirs->low_speed_limit);
    curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_TIME, theirs->low_speed_time);
    call->woken = 0;
  }
  if (call->sent != NULL) {
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, theirs->headers);
    curl_slist_free_all(call->sent);
    call->sent = NULL;
  }
}

/* Begins an attempt: everything but the send. */
static inline reknock_status reknock_curl_prepare_(reknock_curl_call *call, reknock_error **error) {
  const reknock_curl_options *theirs = &call->options;
  uint64_t now_ns = reknock_now_ns();
  uint32_t number = 0;
  reknock_status failed;
  if (call->easy == NULL) return reknock_curl_fault_(REKNOCK_ERROR_INVALID_ARGUMENT, "easy: must not be NULL", error);
  if ((failed = reknock_retry_attempt(call->retry, now_ns, &number, error))) return failed;
  reknock_retry_limits(call->retry, now_ns, &call->limits);
  call->moved_ns = now_ns;
  call->moved = 0;
  call->stage = 0;
  call->uploaded = 0;
  call->ended = REKNOCK_OK;
  if (theirs->prepare != NULL && theirs->prepare(theirs->user_data, call->easy, number)) {
    return reknock_curl_fault_(REKNOCK_ERROR_CALLBACK, "prepare answered with an error", error);
  }
  if ((failed = reknock_curl_headers_(call, error))) return failed;
  curl_easy_setopt(call->easy, CURLOPT_TIMEOUT_MS, reknock_curl_ms_(call->limits.remaining_ns, theirs->timeout_ms));
  curl_easy_setopt(call->easy, CURLOPT_CONNECTTIMEOUT_MS, reknock_curl_ms_(call->limits.connect_ns, theirs->connect_timeout_ms));
  curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, theirs->fresh_connect || number > 1 || !reknock_retry_is_idempotent(call->retry) ? 1L : 0L);
  curl_easy_setopt(call->easy, CURLOPT_XFERINFOFUNCTION, reknock_curl_progress_);
  curl_easy_setopt(call->easy, CURLOPT_XFERINFODATA, call);
  curl_easy_setopt(call->easy, CURLOPT_NOPROGRESS, 0L);
  return REKNOCK_OK;
}

/* Whether libcurl proves that nothing of the request left: it was not ready to send. */
static inline int reknock_curl_not_sent_(const reknock_curl_call *call) {
  return call->code != CURLE_OK && call->code != CURLE_SEND_ERROR && reknock_curl_info_t_(call->easy, CURLINFO_PRETRANSFER_TIME_T) == 0 &&
         reknock_curl_info_(call->easy, CURLINFO_REQUEST_SIZE) == 0 && reknock_curl_info_(call->easy, CURLINFO_REDIRECT_COUNT) == 0;
}

/* Whether this machine alone is short of something: descriptors, ports, memory. */
static inline int reknock_curl_local_(const reknock_curl_call *call) {
  long number = call->code == CURLE_COULDNT_CONNECT ? reknock_curl_info_(call->easy, CURLINFO_OS_ERRNO) : 0;
  return number != 0 && (number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM || number == EADDRNOTAVAIL);
}

/* What a failure is. When in doubt the server may have acted on the request. */
static inline reknock_status reknock_curl_kind_(const reknock_curl_call *call, int head, reknock_evidence *evidence) {
  int not_sent = reknock_curl_not_sent_(call), late;
  uint64_t early_ns;
  *evidence = not_sent ? REKNOCK_EVIDENCE_NOT_SENT : REKNOCK_EVIDENCE_UNKNOWN;
  if (not_sent && reknock_curl_local_(call)) *evidence |= REKNOCK_EVIDENCE_LOCAL;
  /* Limits that were cut short by what was left of the call are that. libcurl's own are milliseconds from a clock that it read before: it may be early. */
  early_ns = call->ended == REKNOCK_OK && call->code == CURLE_OPERATION_TIMEDOUT ? 5000000 : 0;
  late = call->limits.deadline_ns >= 0 && reknock_now_ns() + early_ns >= (uint64_t)call->limits.deadline_ns;
  if (call->ended != REKNOCK_OK) return late && call->ended != REKNOCK_ERROR_CANCELLED ? REKNOCK_ERROR_DEADLINE : call->ended;
  switch (call->code) {
  /* Also of an answer that is no HTTP. */
  case CURLE_UNSUPPORTED_PROTOCOL: return not_sent ? REKNOCK_ERROR_INVALID_REQUEST : REKNOCK_ERROR_PROTOCOL;
  case CURLE_URL_MALFORMAT:
  case CURLE_FAILED_INIT:
  case CURLE_NOT_BUILT_IN:
  case CURLE_UNKNOWN_OPTION:
  case CURLE_RECURSIVE_API_CALL:
  case CURLE_BAD_FUNCTION_ARGUMENT: return REKNOCK_ERROR_INVALID_REQUEST;
  case CURLE_COULDNT_RESOLVE_HOST: case CURLE_COULDNT_RESOLVE_PROXY: case CURLE_COULDNT_CONNECT:
  case CURLE_INTERFACE_FAILED: case CURLE_PROXY: return REKNOCK_ERROR_CONNECT;
  /* A handshake that the peer cut is a failed connection; an alert or a certificate does not heal. */
  case CURLE_SSL_CONNECT_ERROR: return reknock_curl_info_(call->easy, CURLINFO_OS_ERRNO) == ECONNRESET ? REKNOCK_ERROR_CONNECT : REKNOCK_ERROR_TLS;
  case CURLE_PEER_FAILED_VERIFICATION: case CURLE_SSL_CERTPROBLEM: case CURLE_SSL_CIPHER: case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR: case CURLE_SSL_CRL_BADFILE: case CURLE_SSL_PINNEDPUBKEYNOTMATCH: case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_SSL_CLIENTCERT: case CURLE_USE_SSL_FAILED: return REKNOCK_ERROR_TLS;
  case CURLE_OPERATION_TIMEDOUT:
    if (late) return REKNOCK_ERROR_DEADLINE;
    return not_sent ? REKNOCK_ERROR_CONNECT_TIMEOUT : head ? REKNOCK_ERROR_BODY : REKNOCK_ERROR_PER_TRY_TIMEOUT;
  case CURLE_TOO_MANY_REDIRECTS: return REKNOCK_ERROR_TOO_MANY_REDIRECTS;
  case CURLE_ABORTED_BY_CALLBACK: return REKNOCK_ERROR_CANCELLED;
  case CURLE_WRITE_ERROR:
  case CURLE_SEND_FAIL_REWIND:
  case CURLE_READ_ERROR: return REKNOCK_ERROR_CALLBACK;
  case CURLE_FILESIZE_EXCEEDED: return REKNOCK_ERROR_RESPONSE_TOO_LARGE;
  case CURLE_OUT_OF_MEMORY: return REKNOCK_ERROR_INTERNAL;
  case CURLE_PARTIAL_FILE:
  case CURLE_BAD_CONTENT_ENCODING: return REKNOCK_ERROR_BODY;
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR: return REKNOCK_ERROR_RESET;
  case CURLE_RECV_ERROR:
  case CURLE_HTTP2_STREAM: return head ? REKNOCK_ERROR_BODY : not_sent ? REKNOCK_ERROR_CONNECT : REKNOCK_ERROR_RESET;
  default: return head ? REKNOCK_ERROR_BODY : REKNOCK_ERROR_PROTOCOL;
  }
}

/* The status of the response whose head arrived, or 0. That of a redirect is no head of what was redirected to. */
static inline long reknock_curl_head_(const reknock_curl_call *call) {
  long status = reknock_curl_info_(call->easy, CURLINFO_RESPONSE_CODE);
  int whole = call->code == CURLE_OK || call->code == CURLE_HTTP_RETURNED_ERROR;
  struct curl_header *field;
  if (status < 200 || (!whole && reknock_curl_followed_(call->easy, status))) return 0;
  /* Half a head has a status, too; a whole one ends with the first byte of its body or the end of the exchange. */
  if (whole || reknock_curl_info_t_(call->easy, CURLINFO_SIZE_DOWNLOAD_T) > 0) return status;
  return curl_easy_header(call->easy, "content-length", 0, CURLH_HEADER, -1, &field) == CURLHE_OK ||
                 curl_easy_header(call->easy, "transfer-encoding", 0, CURLH_HEADER, -1, &field) == CURLHE_OK
             ? status
             : 0;
}

/* The verdict on a response head. */
static inline reknock_status reknock_curl_response_(reknock_curl_call *call, long status, reknock_error **error) {
  reknock_header room[64], *fields = room;
  struct curl_header *field = NULL;
  size_t count = 0, size = 0;
  reknock_status failed;
  while ((field = curl_easy_nextheader(call->easy, CURLH_HEADER, -1, field)) != NULL) count++;
  if (count > sizeof room / sizeof *room && (fields = (reknock_header *)malloc(count * sizeof *fields)) == NULL) {
    return reknock_curl_fault_(REKNOCK_ERROR_INTERNAL, "no memory for the header fields of the response", error);
  }
  while (size < count && (field = curl_easy_nextheader(call->easy, CURLH_HEADER, -1, field)) != NULL) {
    fields[size].name = field->name;
    fields[size].value = field->value;
    size++;
  }
  failed = reknock_retry_classify_response(call->retry, (int32_t)status, fields, size, (int64_t)time(NULL) * 1000, reknock_now_ns(), NULL, error);
  if (fields != room) free(fields);
  if (!failed && reknock_curl_info_(call->easy, CURLINFO_REDIRECT_COUNT) > 0) failed = reknock_retry_followed(call->retry, error);
  return failed;
}

/* Whether the request's body can be sent again. */
static inline int reknock_curl_replayable_(const reknock_curl_call *call) {
  const char *method = NULL;
  if (call->options.replayable || reknock_curl_not_sent_(call)) return 1;
  curl_easy_getinfo(call->easy, CURLINFO_EFFECTIVE_METHOD, &method);
  /* What was uploaded before a redirect shows in none of these any more. */
  return !call->uploaded && reknock_curl_info_t_(call->easy, CURLINFO_SIZE_UPLOAD_T) == 0 &&
         !(method != NULL && (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0));
}

/* Asks whom there is to ask, and the machine. */
static inline reknock_status reknock_curl_decide_(reknock_curl_call *call, reknock_decision *decision, reknock_error **error) {
  reknock_retry_answer answer = REKNOCK_RETRY_ANSWER_INIT;
  int replayable = reknock_curl_replayable_(call);
  if (call->options.retry_if != NULL && reknock_retry_is_worth_asking(call->retry, replayable, reknock_now_ns())) {
    answer.answer = call->options.retry_if(call->options.user_data, call->easy, call->code, &answer.wait_ms);
    if (answer.answer == REKNOCK_ANSWER_ERROR) return reknock_curl_fault_(REKNOCK_ERROR_CALLBACK, "retry_if answered with an error", error);
  }
  return reknock_retry_decide(call->retry, &answer, replayable, reknock_now_ns(), decision, error);
}

/* How an attempt ended, and what comes of it. */
static inline reknock_status reknock_curl_settle_(reknock_curl_call *call, CURLcode code, reknock_decision *decision, reknock_error **error) {
  reknock_evidence evidence = REKNOCK_EVIDENCE_UNKNOWN;
  reknock_status failed, kind;
  long status;
  int over = 0;
  call->code = code;
  status = reknock_curl_head_(call);
  kind = reknock_curl_kind_(call, status > 0, &evidence);
  if (call->ended != REKNOCK_OK && call->ended != REKNOCK_ERROR_CANCELLED) call->code = CURLE_OPERATION_TIMEDOUT;
  reknock_curl_restore_(call);
  if (status > 0) {
    if ((failed = reknock_curl_response_(call, status, error))) return failed;
    if ((failed = reknock_curl_decide_(call, decision, error))) return failed;
    if (decision->retry || code == CURLE_OK || code == CURLE_HTTP_RETURNED_ERROR) return REKNOCK_OK;
    /* A body that broke is an outcome of its own. A response that was given up on stays given up. */
    over = decision->stop_reason != REKNOCK_STOP_COMPLETED && decision->stop_reason != REKNOCK_STOP_NOT_RETRYABLE &&
           decision->stop_reason != REKNOCK_STOP_PREDICATE_STOP;
  }
  /* No HTTP, or CURLOPT_CONNECT_ONLY. */
  if (code == CURLE_OK) {
    if ((failed = reknock_retry_classify_returned(call->retry, reknock_now_ns(), NULL, error))) return failed;
    return reknock_curl_decide_(call, decision, error);
  }
  if ((failed = reknock_retry_classify_failure(call->retry, kind, evidence, reknock_now_ns(), NULL, error))) return failed;
  return over ? REKNOCK_OK : reknock_curl_decide_(call, decision, error);
}

/** Sends as curl_easy_perform does, again and again until `retry` says stop; waits in between, on this thread. `options` and `code` may be NULL.
 *
 *  REKNOCK_OK says that the last attempt is the call's outcome: `*code` says how it ended, reknock_retry_stop_reason why nothing followed.
 *
 *  Errors: REKNOCK_ERROR_CANCELLED, REKNOCK_ERROR_CALLBACK for what a function answers, REKNOCK_ERROR_INVALID_ARGUMENT for a NULL handle or retry, and one
 *  that is over. `*code` is then that of the last attempt, or CURLE_OK. */
static inline reknock_status reknock_curl_perform(CURL *easy, reknock_retry *retry, const reknock_curl_options *options, CURLcode *code,
                                                  reknock_error **error) {
  reknock_curl_call call;
  reknock_decision decision;
  reknock_status failed;
  reknock_curl_call_init(&call, easy, retry, options);
  do {
    decision.retry = 0;
    failed = reknock_curl_prepare_(&call, error);
    if (!failed) failed = reknock_curl_settle_(&call, curl_easy_perform(easy), &decision, error);
    if (!failed && (call.ended == REKNOCK_ERROR_CANCELLED || (decision.retry && reknock_cancel_wait(call.options.cancel, decision.wait_ns)))) {
      failed = reknock_curl_fault_(REKNOCK_ERROR_CANCELLED, "the call was cancelled", error);
    }
  } while (!failed && decision.retry);
  if (easy != NULL) reknock_curl_restore_(&call);
  if (code != NULL) *code = call.code;
  return failed;
}

/** Begins an attempt of a call on a multi handle: the first one, and each next one once its wait is over.
 *
 *  Errors: as reknock_curl_perform; REKNOCK_ERROR_INVALID_ARGUMENT if curl_multi_add_handle fails. */
static inline reknock_status reknock_curl_start(CURLM *multi, reknock_curl_call *call, reknock_error **error) {
  reknock_status failed = reknock_curl_prepare_(call, error);
  if (!failed && (call->options.low_speed_limit <= 0 || call->options.low_speed_time <= 0)) {
    /* A limit that nobody reaches, a byte a second for a year: libcurl sets itself a timer for it. */
    call->woken = 1;
    curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(call->easy, CURLOPT_LOW_SPEED_TIME, 31536000L);
  }
  if (!failed && curl_multi_add_handle(multi, call->easy) != CURLM_OK) {
    failed = reknock_curl_fault_(REKNOCK_ERROR_INVALID_ARGUMENT, "multi: must be a multi handle that the easy handle is not part of", error);
  }
  if (failed && call->easy != NULL) reknock_curl_restore_(call);
  return failed;
}

/** What comes of a CURLMSG_DONE about a call: takes the handle off the multi handle, and says in `*wait_ns` after which time to call reknock_curl_start
 *  again, in nanoseconds, or -1: the call is over, call->code says how. The program keeps the time, and the message is used up.
 *
 *  Errors: as reknock_curl_perform. The handle is off the multi handle then, too. */
static inline reknock_status reknock_curl_done(CURLM *multi, const CURLMsg *message, reknock_curl_call *call, int64_t *wait_ns, reknock_error **error) {
  reknock_decision decision;
  CURLcode code = message->data.result;
  reknock_status failed;
  curl_multi_remove_handle(multi, call->easy);
  *wait_ns = -1;
  failed = reknock_curl_settle_(call, code, &decision, error);
  if (!failed && call->ended == REKNOCK_ERROR_CANCELLED) failed = reknock_curl_fault_(REKNOCK_ERROR_CANCELLED, "the call was cancelled", error);
  if (!failed && decision.retry) *wait_ns = decision.wait_ns > INT64_MAX ? INT64_MAX : (int64_t)decision.wait_ns;
  return failed;
}

/** Gives up a call on a multi handle: takes its handle off, and sets its options back. Then reknock_retry_free. As with curl_multi_remove_handle, and so with
 *  reknock_curl_start and reknock_curl_done, not in functions that libcurl calls. */
static inline void reknock_curl_abandon(CURLM *multi, reknock_curl_call *call) {
  curl_multi_remove_handle(multi, call->easy);
  reknock_curl_restore_(call);
}

#ifdef __cplusplus
}
#endif

#endif
