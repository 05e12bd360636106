/* vectors_machine: drives the decision machine as it is told. See lines.h. CALL is a number from 0, times are nanoseconds.
 *
 *     policy JSON                                             ->  ok: a policy, budgets that are full, no calls
 *     begin CALL METHOD ORIGIN KEY ASKED NOW [SEED [NESTED [NAME VALUE]..]]  ->  ok
 *     redirect CALL METHOD ORIGIN KEY NOW                     ->  ok
 *     attempt CALL NOW                                        ->  NUMBER
 *     response CALL STATUS WALL_MS NOW [NAME VALUE]..         ->  HINT, or -1
 *     failure CALL KIND EVIDENCE NOW                          ->  HINT, or -1
 *     asks CALL REPLAYABLE NOW                                ->  0 | 1
 *     limits CALL NOW                                         ->  CONNECT PER_TRY IDLE REMAINING DEADLINE
 *     fields CALL                                             ->  [NAME VALUE]..
 *     told CALL                                               ->  REASON LEFT KEPT EXPLANATION
 *     decide CALL ANSWER WAIT_MS BACKOFF_MS REPLAYABLE NOW    ->  retry WAIT | REASON     BACKOFF_MS: or -1
 *     finish CALL NOW, free CALL                              ->  ok
 *     balance ORIGIN NOW                                      ->  NUMBER | none
 *     fail COUNT ORIGIN                                       ->  NUMBER: of so many calls that fail at 0, those that are retried
 *
 * What is refused is answered with: wrong STATUS MESSAGE. A policy of its own for the next calls, with the same budgets: use JSON  ->  ok
 */
#include "lines.h"

enum { CALLS = 256 };

static reknock_policy *policy;
static reknock_budgets *budgets;
static reknock_retry *calls[CALLS];

/* Tells what is refused, and leaves the question. */
#define TRY(call)                                                                  \
    do {                                                                           \
        reknock_error *refusal = NULL;                                             \
        reknock_error **error = &refusal;                                          \
        reknock_status status = (call);                                            \
        if (status != REKNOCK_OK) {                                                \
            CHECK(reknock_error_status(refusal) == status);                        \
            printf("wrong\t%s\t", reknock_status_name(status));                    \
            print_escaped(reknock_error_message(refusal));                         \
            reknock_error_free(refusal);                                           \
            return;                                                                \
        }                                                                          \
    } while (0)

static long long number(const char *text) {
    return strtoll(text, NULL, 10);
}

static void forget(void) {
    int i;
    for (i = 0; i < CALLS; i++) {
        reknock_retry_free(calls[i]);
        calls[i] = NULL;
    }
    reknock_budgets_free(budgets);
    reknock_policy_free(policy);
    budgets = NULL;
    policy = NULL;
}

static void begin(char **fields, int count, reknock_retry **call) {
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
    reknock_header headers[FIELDS];
    size_t lines = 0;
    int i;
    options.policy = policy;
    options.budgets = budgets;
    options.method = fields[2];
    options.origin = fields[3];
    options.has_idempotency_key = (int32_t)number(fields[4]);
    options.asked = (int32_t)number(fields[5]);
    options.seed = (uint64_t)number(fields[7]);
    options.nested = (int32_t)number(fields[8]);
    for (i = 9; i + 1 < count; i += 2, lines++) {
        headers[lines].name = fields[i];
        headers[lines].value = fields[i + 1];
    }
    options.headers = headers;
    options.header_count = lines;
    reknock_retry_free(*call);
    *call = NULL;
    TRY(reknock_retry_new(&options, (uint64_t)number(fields[6]), call, error));
    fputs("ok", stdout);
}

static void redirect(char **fields, reknock_retry *call) {
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
    options.method = fields[2];
    options.origin = fields[3];
    options.has_idempotency_key = (int32_t)number(fields[4]);
    TRY(reknock_retry_redirect(call, &options, (uint64_t)number(fields[5]), error));
    fputs("ok", stdout);
}

static void attempt(char **fields, reknock_retry *call) {
    uint32_t which;
    TRY(reknock_retry_attempt(call, (uint64_t)number(fields[2]), &which, error));
    printf("%u", (unsigned)which);
}

static void response(char **fields, int count, reknock_retry *call) {
    reknock_header headers[FIELDS];
    reknock_verdict verdict;
    size_t lines = 0;
    int i;
    for (i = 5; i + 1 < count; i += 2, lines++) {
        headers[lines].name = fields[i];
        headers[lines].value = fields[i + 1];
    }
    TRY(reknock_retry_classify_response(call, (int32_t)number(fields[2]), headers, lines, number(fields[3]), (uint64_t)number(fields[4]),
                                        &verdict, error));
    printf("%lld", (long long)verdict.hint_ns);
}

static void failure(char **fields, reknock_retry *call) {
    reknock_verdict verdict;
    TRY(reknock_retry_classify_failure(call, (reknock_status)number(fields[2]), (reknock_evidence)number(fields[3]),
                                       (uint64_t)number(fields[4]), &verdict, error));
    printf("%lld", (long long)verdict.hint_ns);
}

static void decide(char **fields, reknock_retry *call) {
    reknock_retry_answer answer = REKNOCK_RETRY_ANSWER_INIT;
    reknock_decision decision;
    answer.answer = (reknock_answer)number(fields[2]);
    answer.wait_ms = (uint64_t)number(fields[3]);
    answer.has_backoff = number(fields[4]) >= 0;
    answer.backoff_ms = answer.has_backoff ? (uint64_t)number(fields[4]) : 0;
    TRY(reknock_retry_decide(call, &answer, (int32_t)number(fields[5]), (uint64_t)number(fields[6]), &decision, error));
    if (decision.retry) {
        printf("retry\t%llu", (unsigned long long)decision.wait_ns);
    } else {
        fputs(reknock_stop_reason_name(decision.stop_reason), stdout);
    }
}

static void limits(char **fields, reknock_retry *call) {
    reknock_limits is;
    CHECK(reknock_retry_limits(call, (uint64_t)number(fields[2]), &is) == REKNOCK_OK);
    printf("%lld\t%lld\t%lld\t%lld\t%lld", (long long)is.connect_ns, (long long)is.per_try_ns, (long long)is.idle_ns,
           (long long)is.remaining_ns, (long long)is.deadline_ns);
}

static void put_on(reknock_retry *call) {
    size_t count = 0, i;
    const reknock_header *headers = reknock_retry_headers(call, &count);
    for (i = 0; i < count; i++) printf("%s%s\t%s", i > 0 ? "\t" : "", headers[i].name, headers[i].value);
}

static void told(reknock_retry *call) {
    size_t count = reknock_retry_attempt_count(call);
    CHECK(reknock_retry_record(call, count) == NULL);
    CHECK(count == 0 || reknock_retry_record(call, count - 1)->number == count);
    printf("%s\t%u\t%llu\t", reknock_stop_reason_name(reknock_retry_stop_reason(call)), (unsigned)reknock_retry_retries_left(call),
           (unsigned long long)reknock_retry_max_body_buffer(call));
    print_escaped(reknock_retry_explain(call));
}

static void balance(char **fields) {
    reknock_budget_reading reading;
    reknock_status status = reknock_budgets_reading(budgets, policy, fields[1], (uint64_t)number(fields[2]), &reading);
    CHECK(status == REKNOCK_OK || status == REKNOCK_EMPTY);
    if (status == REKNOCK_OK) {
        printf("%lld", (long long)reading.balance);
    } else {
        fputs("none", stdout);
    }
}

static void fail(char **fields) {
    reknock_retry_options options = REKNOCK_RETRY_OPTIONS_INIT;
    long long left = number(fields[1]);
    long granted = 0;
    options.policy = policy;
    options.budgets = budgets;
    options.method = "GET";
    options.origin = fields[2];
    for (; left > 0; left--) {
        reknock_retry *call = NULL;
        reknock_decision decision;
        OK(reknock_retry_new(&options, 0, &call, error));
        OK(reknock_retry_attempt(call, 0, NULL, error));
        OK(reknock_retry_classify_response(call, 503, NULL, 0, 0, 0, NULL, error));
        OK(reknock_retry_decide(call, NULL, 1, 0, &decision, error));
        granted += decision.retry;
        /* Sent: a retry that is scheduled only would be given back. */
        if (decision.retry) OK(reknock_retry_attempt(call, 0, NULL, error));
        reknock_retry_finish(call, 0);
    }
    printf("%ld", granted);
}

/* The call that a question is about, if it is about one. */
static reknock_retry **call_of(char **fields) {
    static const char *const others[] = {"policy", "use", "balance", "fail"};
    size_t i;
    for (i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(fields[0], others[i]) == 0) return NULL;
    }
    CHECK(number(fields[1]) >= 0 && number(fields[1]) < CALLS);
    return &calls[number(fields[1])];
}

int main(void) {
    char *fields[FIELDS];
    int count;
    while ((count = next_question(fields)) > 0) {
        const char *what = fields[0];
        reknock_retry **call = call_of(fields);
        if (strcmp(what, "policy") == 0) {
            forget();
            OK(reknock_policy_from_json(fields[1], &policy, error));
            OK(reknock_budgets_new(&budgets, error));
            fputs("ok", stdout);
        }
        if (strcmp(what, "use") == 0) {
            reknock_policy_free(policy);
            OK(reknock_policy_from_json(fields[1], &policy, error));
            fputs("ok", stdout);
        }
        if (strcmp(what, "begin") == 0) begin(fields, count, call);
        if (strcmp(what, "redirect") == 0) redirect(fields, *call);
        if (strcmp(what, "attempt") == 0) attempt(fields, *call);
        if (strcmp(what, "response") == 0) response(fields, count, *call);
        if (strcmp(what, "failure") == 0) failure(fields, *call);
        if (strcmp(what, "decide") == 0) decide(fields, *call);
        if (strcmp(what, "balance") == 0) balance(fields);
        if (strcmp(what, "asks") == 0) printf("%d", (int)reknock_retry_is_worth_asking(*call, (int32_t)number(fields[2]), (uint64_t)number(fields[3])));
        if (strcmp(what, "limits") == 0) limits(fields, *call);
        if (strcmp(what, "fields") == 0) put_on(*call);
        if (strcmp(what, "told") == 0) told(*call);
        if (strcmp(what, "fail") == 0) fail(fields);
        if (strcmp(what, "finish") == 0 || strcmp(what, "free") == 0) {
            if (*what == 'f' && what[1] == 'i') reknock_retry_finish(*call, (uint64_t)number(fields[2]));
            else reknock_retry_free(*call);
            *call = NULL;
            fputs("ok", stdout);
        }
        putchar('\n');
    }
    forget();
    return 0;
}
