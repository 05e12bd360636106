/* vectors: answers questions about documents, names and Envoy's request headers. See lines.h.
 *
 *     policy BASE FORMAT TEXT   ->  ok JSON | STATUS MESSAGE     BASE: a JSON document, or empty; FORMAT: json, yaml or toml
 *     with BASE KEY VALUE       ->  ok JSON | STATUS MESSAGE     BASE: a JSON document, or empty for the default policy
 *     preset NAME               ->  ok JSON | STATUS MESSAGE
 *     load DIALECT TEXT         ->  ok and per policy DIALECT NAME JSON EXPLAINED COUNT NOTE.. | STATUS MESSAGE
 *     set DIALECT TEXT [REQUEST].. ->  ok JSON COUNT NOTE.. and per request RULE NAME | STATUS MESSAGE
 *     envoy ROUTE [NAME VALUE].. ->  JSON of the route, JSON of a request with these headers, the same of the route read from its JSON
 *     simulate POLICY SCENARIO  ->  ok JSON PASSED | STATUS MESSAGE
 *     compare POLICIES SCENARIO ->  ok JSON PASSED HTML | STATUS MESSAGE
 *     lint POLICY SURROUNDINGS  ->  ok JSON TEXT WORST | STATUS MESSAGE
 *     expected ROUTE ELAPSED_MS ->  MS, the same of the route read from its JSON
 *     header N                  ->  NAME | none
 *     kind | stop | evidence N  ->  NAME     NAME of a policy: with a + before it, or - for none
 */
#include "lines.h"

static void field(const char *text) {
    putchar('\t');
    print_escaped(text);
}

static void print_failure(reknock_status status, reknock_error *failure) {
    CHECK(reknock_error_status(failure) == status && reknock_error_attempt_count(failure) == 0);
    fputs(reknock_status_name(status), stdout);
    field(reknock_error_message(failure));
    reknock_error_free(failure);
}

static void print_policy(reknock_status status, reknock_policy *policy, reknock_error *failure) {
    if (status != REKNOCK_OK) {
        CHECK(policy == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    field(reknock_policy_to_json(policy));
    reknock_policy_free(policy);
}

static reknock_status read_policy(const char *format, const char *text, reknock_policy **out, reknock_error **error) {
    if (strcmp(format, "yaml") == 0) return reknock_policy_from_yaml(text, out, error);
    if (strcmp(format, "toml") == 0) return reknock_policy_from_toml(text, out, error);
    return reknock_policy_from_json_n(text, strlen(text), out, error);
}

static void answer_policy(const char *base_json, const char *format, const char *text) {
    reknock_policy *base = NULL, *policy = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    if (*base_json) {
        OK(reknock_policy_from_json(base_json, &base, error));
        status = reknock_policy_merge_json(base, text, &policy, &failure);
    } else {
        status = read_policy(format, text, &policy, &failure);
    }
    print_policy(status, policy, failure);
    reknock_policy_free(base);
}

static void answer_with(const char *base_json, const char *key, const char *value) {
    reknock_policy *base = NULL, *policy = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    if (*base_json) OK(reknock_policy_from_json(base_json, &base, error));
    status = reknock_policy_with(base, key, value, &policy, &failure);
    print_policy(status, policy, failure);
    reknock_policy_free(base);
}

static void answer_preset(const char *name) {
    reknock_policy *policy = NULL;
    reknock_error *failure = NULL;
    reknock_status status = reknock_policy_preset(name, &policy, &failure);
    print_policy(status, policy, failure);
}

static void print_one(const reknock_policies *policies, size_t index) {
    const char *name = reknock_policies_name(policies, index);
    const reknock_policy *policy = reknock_policies_at(policies, index);
    size_t count = reknock_policies_note_count(policies, index), note;
    char number[20];
    field(reknock_policies_dialect(policies, index));
    fputs(name ? "\t+" : "\t-", stdout);
    if (name) print_escaped(name);
    field(reknock_policy_to_json(policy));
    field(reknock_policies_explain(policies, index));
    snprintf(number, sizeof number, "%u", (unsigned)count);
    field(number);
    for (note = 0; note < count; note++) field(reknock_policies_note(policies, index, note));
    CHECK(reknock_policies_note(policies, index, count) == NULL);
    if (name) {
        size_t found;
        OK(reknock_policies_find(policies, name, &found, error));
        CHECK(found <= index && strcmp(reknock_policies_name(policies, found), name) == 0);
    }
}

static void answer_load(const char *dialect, const char *text) {
    reknock_policies *policies = NULL;
    reknock_error *failure = NULL;
    reknock_status status = reknock_policies_read(text, *dialect ? dialect : NULL, &policies, &failure);
    size_t index;
    if (status != REKNOCK_OK) {
        CHECK(policies == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    for (index = 0; index < reknock_policies_count(policies); index++) print_one(policies, index);
    CHECK(reknock_policies_at(policies, index) == NULL && reknock_policies_name(policies, index) == NULL);
    CHECK(reknock_policies_dialect(policies, index) == NULL && reknock_policies_note_count(policies, index) == 0);
    CHECK(*reknock_policies_explain(policies, index) == 0);
    CHECK(reknock_policies_find(policies, "no such name", &index, &failure) == REKNOCK_ERROR_CONFIG);
    CHECK(strstr(reknock_error_message(failure), "got \"no such name\"") != NULL);
    reknock_error_free(failure);
    reknock_policies_free(policies);
}

static void answer_set(char **fields, int count) {
    reknock_policy_set *set = NULL, *again = NULL;
    reknock_error *failure = NULL;
    reknock_status status = reknock_policy_set_read(fields[2], *fields[1] ? fields[1] : NULL, &set, &failure);
    char number[20];
    size_t note;
    int i;
    if (status != REKNOCK_OK) {
        CHECK(set == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    field(reknock_policy_set_to_json(set));
    snprintf(number, sizeof number, "%u", (unsigned)reknock_policy_set_note_count(set));
    field(number);
    for (note = 0; note < reknock_policy_set_note_count(set); note++) field(reknock_policy_set_note(set, note));
    CHECK(reknock_policy_set_note(set, note) == NULL);
    for (i = 3; i < count; i++) {
        reknock_choice *choice = NULL;
        const char *name;
        OK(reknock_policy_set_choose(set, fields[i], &choice, error));
        snprintf(number, sizeof number, "%u", (unsigned)reknock_choice_rule(choice));
        field(number);
        name = reknock_choice_policy_name(choice);
        fputs(name ? "\t+" : "\t-", stdout);
        if (name) print_escaped(name);
        CHECK(reknock_choice_policy(choice) != NULL && strstr(reknock_choice_explain(choice), "budget: ") != NULL);
        reknock_choice_free(choice);
    }
    CHECK(strstr(reknock_policy_set_explain(set), "budget: ") != NULL);
    OK(reknock_policy_set_read(reknock_policy_set_to_yaml(set), "reknock", &again, error));
    CHECK(strcmp(reknock_policy_set_to_json(set), reknock_policy_set_to_json(again)) == 0);
    reknock_policy_set_free(again);
    reknock_policy_set_free(set);
}

/* The policy of a route of Envoy; it belongs to *policies. */
static const reknock_policy *read_route(const char *text, reknock_policies **policies) {
    OK(reknock_policies_read(text, "envoy", policies, error));
    CHECK(reknock_policies_count(*policies) == 1);
    return reknock_policies_at(*policies, 0);
}

static void answer_envoy(char **fields, int count) {
    reknock_header headers[FIELDS];
    reknock_policies *policies = NULL;
    reknock_policy *changed = NULL, *copy = NULL, *changed_copy = NULL;
    const reknock_policy *route = read_route(fields[1], &policies);
    size_t lines = 0;
    int i;
    for (i = 2; i + 1 < count; i += 2, lines++) {
        headers[lines].name = fields[i];
        headers[lines].value = fields[i + 1];
    }
    OK(reknock_policy_with_envoy_headers(route, headers, lines, &changed, error));
    print_escaped(reknock_policy_to_json(route));
    field(reknock_policy_to_json(changed));
    OK(reknock_policy_from_json(reknock_policy_to_json(route), &copy, error));
    OK(reknock_policy_with_envoy_headers(copy, headers, lines, &changed_copy, error));
    field(reknock_policy_to_json(changed_copy));
    reknock_policy_free(changed);
    reknock_policy_free(copy);
    reknock_policy_free(changed_copy);
    reknock_policies_free(policies);
}

static void answer_expected(char **fields) {
    reknock_policies *policies = NULL;
    reknock_policy *copy = NULL;
    const reknock_policy *route = read_route(fields[1], &policies);
    uint64_t elapsed = strtoull(fields[2], NULL, 10);
    OK(reknock_policy_from_json(reknock_policy_to_json(route), &copy, error));
    printf("%llu\t", (unsigned long long)reknock_policy_expected_rq_timeout_ms(route, elapsed));
    printf("%llu", (unsigned long long)reknock_policy_expected_rq_timeout_ms(copy, elapsed));
    reknock_policy_free(copy);
    reknock_policies_free(policies);
}

static void answer_simulate(const char *text, const char *scenario) {
    reknock_policy *policy = NULL;
    reknock_report *report = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    OK(reknock_policy_from_json(text, &policy, error));
    status = reknock_policy_simulate(policy, scenario, &report, &failure);
    reknock_policy_free(policy);
    if (status != REKNOCK_OK) {
        CHECK(report == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    field(reknock_report_json(report));
    field(reknock_report_passed(report) ? "true" : "false");
    reknock_report_free(report);
}

static void answer_compare(const char *text, const char *scenario) {
    reknock_policies *policies = NULL;
    reknock_report *report = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    OK(reknock_policies_read(text, NULL, &policies, error));
    status = reknock_policies_compare(policies, scenario, &report, &failure);
    reknock_policies_free(policies);
    if (status != REKNOCK_OK) {
        CHECK(report == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    field(reknock_report_json(report));
    field(reknock_report_passed(report) ? "true" : "false");
    field(reknock_report_html(report));
    CHECK(reknock_report_html(report) == reknock_report_html(report));
    reknock_report_free(report);
}

static void answer_lint(const char *text, const char *surroundings) {
    reknock_policy *policy = NULL;
    reknock_lint *lint = NULL;
    reknock_error *failure = NULL;
    reknock_status status;
    OK(reknock_policy_from_json(text, &policy, error));
    status = reknock_policy_lint(policy, *surroundings ? surroundings : NULL, &lint, &failure);
    reknock_policy_free(policy);
    if (status != REKNOCK_OK) {
        CHECK(lint == NULL);
        print_failure(status, failure);
        return;
    }
    fputs("ok", stdout);
    field(reknock_lint_json(lint));
    field(reknock_lint_text(lint));
    field(reknock_lint_worst(lint) ? reknock_lint_worst(lint) : "none");
    reknock_lint_free(lint);
}

static void answer_header(size_t index) {
    const char *name = reknock_envoy_header(index);
    print_escaped(name ? name : "none");
}

int main(void) {
    char *fields[FIELDS];
    int count;
    while ((count = next_question(fields)) > 0) {
        if (strcmp(fields[0], "policy") == 0) answer_policy(fields[1], fields[2], fields[3]);
        if (strcmp(fields[0], "with") == 0) answer_with(fields[1], fields[2], fields[3]);
        if (strcmp(fields[0], "preset") == 0) answer_preset(fields[1]);
        if (strcmp(fields[0], "load") == 0) answer_load(fields[1], fields[2]);
        if (strcmp(fields[0], "set") == 0) answer_set(fields, count);
        if (strcmp(fields[0], "envoy") == 0) answer_envoy(fields, count);
        if (strcmp(fields[0], "expected") == 0) answer_expected(fields);
        if (strcmp(fields[0], "simulate") == 0) answer_simulate(fields[1], fields[2]);
        if (strcmp(fields[0], "compare") == 0) answer_compare(fields[1], fields[2]);
        if (strcmp(fields[0], "lint") == 0) answer_lint(fields[1], fields[2]);
        if (strcmp(fields[0], "header") == 0) answer_header((size_t)atoi(fields[1]));
        if (strcmp(fields[0], "kind") == 0) print_escaped(reknock_status_name(atoi(fields[1])));
        if (strcmp(fields[0], "stop") == 0) print_escaped(reknock_stop_reason_name(atoi(fields[1])));
        if (strcmp(fields[0], "evidence") == 0) print_escaped(reknock_evidence_name(atoi(fields[1])));
        putchar('\n');
    }
    return 0;
}
