/* vectors: answers questions about documents and names. See lines.h.
 *
 *     policy BASE FORMAT TEXT   ->  ok JSON | STATUS MESSAGE     BASE: a JSON document, or empty; FORMAT: json, yaml or toml
 *     preset NAME               ->  ok JSON | STATUS MESSAGE
 *     load DIALECT TEXT         ->  ok and per policy DIALECT NAME JSON EXPLAINED COUNT NOTE.. | STATUS MESSAGE
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

int main(void) {
    char *fields[FIELDS];
    while (next_question(fields)) {
        if (strcmp(fields[0], "policy") == 0) answer_policy(fields[1], fields[2], fields[3]);
        if (strcmp(fields[0], "preset") == 0) answer_preset(fields[1]);
        if (strcmp(fields[0], "load") == 0) answer_load(fields[1], fields[2]);
        if (strcmp(fields[0], "kind") == 0) print_escaped(reknock_status_name(atoi(fields[1])));
        if (strcmp(fields[0], "stop") == 0) print_escaped(reknock_stop_reason_name(atoi(fields[1])));
        if (strcmp(fields[0], "evidence") == 0) print_escaped(reknock_evidence_name(atoi(fields[1])));
        putchar('\n');
    }
    return 0;
}
