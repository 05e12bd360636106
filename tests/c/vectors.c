/* vectors: answers questions on standard input, one a line, fields separated by tabs, with \n \t \\ written as such.
 *
 *     policy BASE FORMAT TEXT   ->  ok JSON | STATUS MESSAGE     BASE: a JSON document, or empty; FORMAT: json, yaml or toml
 *     kind | stop | evidence N  ->  NAME
 */
#include "check.h"

static void unescape(char *text) {
    char *out = text;
    for (; *text; text++) {
        if (*text == '\\') {
            text++;
            *out++ = *text == 'n' ? '\n' : *text == 't' ? '\t' : *text == 'r' ? '\r' : *text;
        } else {
            *out++ = *text;
        }
    }
    *out = 0;
}

static void print_escaped(const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '\n': fputs("\\n", stdout); break;
        case '\t': fputs("\\t", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        case '\\': fputs("\\\\", stdout); break;
        default: putchar(*text);
        }
    }
    putchar('\n');
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
    if (status == REKNOCK_OK) {
        fputs("ok\t", stdout);
        print_escaped(reknock_policy_to_json(policy));
    } else {
        CHECK(policy == NULL && reknock_error_status(failure) == status);
        printf("%s\t", reknock_status_name(status));
        print_escaped(reknock_error_message(failure));
    }
    reknock_error_free(failure);
    reknock_policy_free(policy);
    reknock_policy_free(base);
}

int main(void) {
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        char *fields[4] = {line, line, line, line};
        char *end = strchr(line, '\n');
        int count;
        CHECK(end != NULL);
        *end = 0;
        for (count = 1; count < 4 && (end = strchr(fields[count - 1], '\t')) != NULL; count++) {
            *end = 0;
            fields[count] = end + 1;
        }
        for (count--; count > 0; count--) unescape(fields[count]);
        if (strcmp(line, "policy") == 0) answer_policy(fields[1], fields[2], fields[3]);
        if (strcmp(line, "kind") == 0) print_escaped(reknock_status_name(atoi(fields[1])));
        if (strcmp(line, "stop") == 0) print_escaped(reknock_stop_reason_name(atoi(fields[1])));
        if (strcmp(line, "evidence") == 0) print_escaped(reknock_evidence_name(atoi(fields[1])));
    }
    return 0;
}
