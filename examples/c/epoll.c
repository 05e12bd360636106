/* epoll URL COUNT: COUNT calls in flight at once on one thread, completed through an event loop. Linux. */
#include <reknock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* What the program keeps per call; comes back as user_data. */
typedef struct {
    int number;
} job;

static int fail(const char *what, reknock_error *error) {
    fprintf(stderr, "%s: %s\n", what, reknock_error_message(error));
    reknock_error_free(error);
    return 1;
}

int main(int argc, char **argv) {
    reknock_client *client = NULL;
    reknock_queue *queue = NULL;
    reknock_request *request = NULL;
    reknock_error *error = NULL;
    struct epoll_event event;
    size_t attempts = 0;
    int count, done = 0, succeeded = 0, i;
    int loop = epoll_create1(EPOLL_CLOEXEC);
    job *jobs;

    if (argc != 3) {
        fprintf(stderr, "usage: %s URL COUNT\n", argv[0]);
        return 2;
    }
    count = atoi(argv[2]);
    jobs = (job *)calloc((size_t)count, sizeof *jobs);
    if (reknock_client_new(NULL, &client, &error)) return fail("client", error);
    if (reknock_queue_new(&queue, &error)) return fail("queue", error);
    if (reknock_request_new("GET", argv[1], &request, &error)) return fail("request", error);
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.ptr = queue;
    epoll_ctl(loop, EPOLL_CTL_ADD, reknock_queue_descriptor(queue), &event);

    for (i = 0; i < count; i++) {
        jobs[i].number = i;
        if (reknock_client_submit(client, request, NULL, queue, &jobs[i], NULL, &error)) return fail("submit", error);
    }
    reknock_request_free(request); /* the calls have copies */

    while (done < count && epoll_wait(loop, &event, 1, 10000) == 1) {
        reknock_completion completion;
        while (reknock_queue_next((reknock_queue *)event.data.ptr, &completion) == REKNOCK_OK) {
            if (completion.status == REKNOCK_OK) {
                succeeded += reknock_response_status(completion.response) == 200;
                attempts += reknock_response_attempt_count(completion.response);
                reknock_response_free(completion.response);
            } else {
                job *failed = (job *)completion.user_data;
                fprintf(stderr, "call %d: %s\n", failed->number, reknock_error_message(completion.error));
                attempts += reknock_error_attempt_count(completion.error);
                reknock_error_free(completion.error);
            }
            done++;
        }
    }
    printf("%d of %d calls succeeded with %d attempts\n", succeeded, count, (int)attempts);
    reknock_queue_free(queue);
    reknock_client_free(client);
    free(jobs);
    close(loop);
    return done == count ? 0 : 1;
}
