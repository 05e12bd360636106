/* machine: the decisions alone, in virtual time; a real program sends and sleeps where this one pretends to. */
#include <reknock.h>
#include <stdio.h>

static const uint64_t MS = 1000000;

int main(void) {
    /* Stands for a server that recovers. */
    static const int32_t statuses[] = {503, 0, 200};
    static const reknock_header hint[] = {{"Retry-After", "1"}};
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_budgets *budgets = NULL;
    reknock_retry *retry = NULL;
    reknock_error *error = NULL;
    uint64_t now_ns = 0; /* a monotonic clock, read immediately before each function */
    reknock_decision decision;
    uint32_t number;

    if (reknock_budgets_new(&budgets, &error)) goto failed; /* one per program, as long as it runs */
    options.budgets = budgets;
    options.method = "GET";
    options.origin = "http://127.0.0.1:8080";
    if (reknock_retry_new(&options, now_ns, &retry, &error)) goto failed;
    do {
        int32_t http_status;
        if (reknock_retry_attempt(retry, now_ns, &number, &error)) goto failed;
        http_status = statuses[number - 1]; /* send */
        now_ns += 5 * MS;
        if (http_status == 0) { /* no response */
            if (reknock_retry_classify_failure(retry, REKNOCK_ERROR_RESET, REKNOCK_EVIDENCE_UNKNOWN, now_ns, NULL, &error)) goto failed;
        } else {
            size_t count = http_status == 503;
            if (reknock_retry_classify_response(retry, http_status, hint, count, 0, now_ns, NULL, &error)) goto failed;
        }
        if (reknock_retry_decide(retry, NULL, 1, now_ns, &decision, &error)) goto failed;
        printf("attempt %u: %s\n", (unsigned)number, decision.retry ? "retry" : reknock_stop_reason_name(decision.stop_reason));
        if (number == 1 && decision.wait_ns < 1000 * MS) return 1; /* the server asked for a second */
        now_ns += decision.wait_ns; /* sleep */
    } while (decision.retry);
    reknock_retry_finish(retry, now_ns);
    reknock_budgets_free(budgets);
    return 0;

failed:
    fprintf(stderr, "%s\n", reknock_error_message(error));
    reknock_error_free(error);
    reknock_retry_free(retry);
    reknock_budgets_free(budgets);
    return 1;
}
