/* Questions on standard input, one a line, fields separated by tabs, with \n \t \r \\ written as such; the answers likewise. */
#ifndef LINES_H
#define LINES_H

#include "check.h"

enum { FIELDS = 64 };

static inline void unescape(char *text) {
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

static inline void print_escaped(const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '\n': fputs("\\n", stdout); break;
        case '\t': fputs("\\t", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        case '\\': fputs("\\\\", stdout); break;
        default: putchar(*text);
        }
    }
}

/* The fields of the next question; how many they are, 0 at the end. Fields that are not there are empty. */
static inline int next_question(char **fields) {
    static char line[1 << 20];
    static char empty[] = "";
    char *end;
    int count, i;
    if (!fgets(line, sizeof line, stdin)) return 0;
    end = strchr(line, '\n');
    CHECK(end != NULL);
    *end = 0;
    fields[0] = line;
    for (count = 1; (end = strchr(fields[count - 1], '\t')) != NULL; count++) {
        CHECK(count < FIELDS);
        *end = 0;
        fields[count] = end + 1;
    }
    for (i = count; i < FIELDS; i++) fields[i] = empty;
    for (i = 0; i < count; i++) unescape(fields[i]);
    return count;
}

#endif
