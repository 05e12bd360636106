/* explain FILE [NAME]: what the policies of a file mean, or the one of this name: waits, worst case, notes on what differs from the
 * system that the file was written for. */
#include <reknock.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    reknock_policies *policies = NULL;
    reknock_error *error = NULL;
    size_t index = 0, told = 0;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s FILE [NAME]\n", argv[0]);
        return 2;
    }
    if (reknock_policies_load(argv[1], NULL, &policies, &error) != REKNOCK_OK ||
        (argc == 3 && reknock_policies_find(policies, argv[2], &index, &error) != REKNOCK_OK)) {
        fprintf(stderr, "%s\n", reknock_error_message(error));
        reknock_error_free(error);
        reknock_policies_free(policies);
        return 1;
    }
    for (; index < reknock_policies_count(policies); index++) {
        const char *name = reknock_policies_name(policies, index);
        if (argc == 3 && (name == NULL || strcmp(name, argv[2]) != 0)) continue;
        printf("%s%s", told++ ? "\n" : "", reknock_policies_explain(policies, index));
    }
    reknock_policies_free(policies);
    return 0;
}
