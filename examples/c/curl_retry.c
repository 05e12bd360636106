/* curl_retry URL [POLICY]: libcurl sends, reknock decides. For programs that keep libcurl and want its retries decided. */
#define _POSIX_C_SOURCE 200809L
#include <curl/curl.h>
#include <reknock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_HEADERS = 200 };

/* The header fields of a response. */
typedef struct {
    reknock_header fields[MOST_HEADERS];
    size_t count;
} headers;

static void forget(headers *all) {
    for (; all->count > 0; all->count--) {
        free((char *)all->fields[all->count - 1].name); /* the value is in the same block */
    }
}

/* libcurl gives one line at a time; a status line begins a new response. */
static size_t on_header(char *line, size_t size, size_t length, void *user_data) {
    headers *all = (headers *)user_data;
    char *copy, *colon, *value, *end;
    (void)size;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) forget(all);
    if (all->count == MOST_HEADERS || memchr(line, ':', length) == NULL) return length;
    copy = (char *)malloc(length + 1);
    if (copy == NULL) return 0;
    memcpy(copy, line, length);
    copy[length] = 0;
    colon = strchr(copy, ':');
    *colon = 0;
    value = colon + 1 + strspn(colon + 1, " \t");
    for (end = value + strlen(value); end > value && strchr(" \t\r\n", end[-1]) != NULL; end--) end[-1] = 0;
    all->fields[all->count].name = copy;
    all->fields[all->count].value = value;
    all->count++;
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t length, void *user_data) {
    (void)bytes;
    (void)size;
    (void)user_data;
    return length;
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void pause_ns(uint64_t ns) {
    struct timespec time;
    time.tv_sec = (time_t)(ns / 1000000000);
    time.tv_nsec = (long)(ns % 1000000000);
    nanosleep(&time, NULL);
}

/* What libcurl's codes mean here. When in doubt the server may have acted on the request. */
static reknock_status kind_of(CURL *curl, CURLcode code, reknock_evidence *evidence) {
    curl_off_t connected = 0;
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &connected); /* 0: not ready to send yet */
    *evidence = connected == 0 ? REKNOCK_EVIDENCE_NOT_SENT : REKNOCK_EVIDENCE_UNKNOWN;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return REKNOCK_ERROR_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR: return REKNOCK_ERROR_TLS;
    case CURLE_OPERATION_TIMEDOUT: return connected == 0 ? REKNOCK_ERROR_CONNECT_TIMEOUT : REKNOCK_ERROR_PER_TRY_TIMEOUT;
    case CURLE_PARTIAL_FILE: return REKNOCK_ERROR_BODY;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return REKNOCK_ERROR_RESET;
    default: return REKNOCK_ERROR_PROTOCOL;
    }
}

/* The verdict on what libcurl did. */
static reknock_status classify(CURL *curl, CURLcode code, const headers *all, reknock_retry *retry, reknock_error **error) {
    long status = 0;
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        return reknock_retry_classify_response(retry, (int32_t)status, all->fields, all->count, (int64_t)time(NULL) * 1000,
                                               now_ns(), NULL, error);
    } else {
        reknock_evidence evidence;
        reknock_status kind = kind_of(curl, code, &evidence);
        return reknock_retry_classify_failure(retry, kind, evidence, now_ns(), NULL, error);
    }
}

/* Sends until the machine says stop. */
static reknock_status send_with_retries(CURL *curl, headers *all, reknock_retry *retry, reknock_error **error) {
    reknock_decision decision;
    reknock_status failed;
    do {
        uint32_t number;
        CURLcode code;
        forget(all);
        if ((failed = reknock_retry_attempt(retry, now_ns(), &number, error))) return failed;
        code = curl_easy_perform(curl);
        if ((failed = classify(curl, code, all, retry, error))) return failed;
        if ((failed = reknock_retry_decide(retry, NULL, 1, now_ns(), &decision, error))) return failed;
        printf("attempt %u: %s, %s\n", (unsigned)number, code ? curl_easy_strerror(code) : "a response",
               decision.retry ? "retry" : reknock_stop_reason_name(decision.stop_reason));
        if (decision.retry) pause_ns(decision.wait_ns);
    } while (decision.retry);
    return REKNOCK_OK;
}

/* The scheme, host and port of a URL. */
static void origin_of(const char *url, char *origin, size_t size) {
    const char *host = strstr(url, "://");
    size_t length = host ? (size_t)(host - url) + 3 : 0;
    length += strcspn(url + length, "/?#");
    snprintf(origin, size, "%.*s", (int)length, url);
}

int main(int argc, char **argv) {
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_policy *policy = NULL;
    reknock_budgets *budgets = NULL;
    reknock_retry *retry = NULL;
    reknock_error *error = NULL;
    headers all;
    char origin[300];
    CURL *curl;
    reknock_status failed;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s URL [POLICY]\n", argv[0]);
        return 2;
    }
    all.count = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &all);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L); /* on a kept connection that died libcurl sends again, and asks nobody */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L); /* time limits are libcurl's business here */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);

    failed = argc == 3 ? reknock_policy_load(argv[2], &policy, &error) : REKNOCK_OK;
    if (!failed) failed = reknock_budgets_new(&budgets, &error); /* one per program, as long as it runs */
    options.policy = policy;
    options.budgets = budgets;
    options.method = "GET";
    origin_of(argv[1], origin, sizeof origin);
    options.origin = origin;
    if (!failed) failed = reknock_retry_new(&options, now_ns(), &retry, &error);
    if (!failed) failed = send_with_retries(curl, &all, retry, &error);
    if (failed) fprintf(stderr, "%s\n", reknock_error_message(error));
    reknock_error_free(error);
    reknock_retry_finish(retry, now_ns());
    reknock_budgets_free(budgets);
    reknock_policy_free(policy);
    forget(&all);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return failed != 0;
}
