/* shutdown FINE SLOW STALLED: what is left after reknock_shutdown. FINE answers with a large body, SLOW never, STALLED with a body that does
 * not go on. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

int main(int argc, char **argv) {
    reknock_client *client = new_client("{}");
    reknock_request *fine, *slow, *stalls;
    reknock_queue *queue = NULL;
    reknock_response *response = NULL, *streamed = NULL, *stalled = NULL;
    reknock_completion completion;
    reknock_call call = 0, read = 0;
    int i;
    uint8_t buffer[100];
    size_t count;
    reknock_status status;
    CHECK(argc == 4);
    fine = new_request("GET", argv[1]);
    slow = new_request("GET", argv[2]);
    stalls = new_request("GET", argv[3]);
    OK(reknock_queue_new(&queue, error));
    OK(reknock_client_submit_stream(client, fine, NULL, queue, NULL, NULL, error));
    streamed = next_completion(queue).response;
    OK(reknock_response_read(streamed, buffer, sizeof buffer, &count, error));
    OK(reknock_client_submit(client, slow, NULL, queue, &call, &call, error));
    OK(reknock_client_submit_stream(client, stalls, NULL, queue, NULL, NULL, error));
    stalled = next_completion(queue).response;
    do OK(reknock_response_read(stalled, buffer, 1, &count, error));
    while (buffer[0] != 9); /* the last byte there is: bytes count up */
    OK(reknock_response_submit_read(stalled, queue, &read, &read, error));

    reknock_shutdown();
    reknock_shutdown();
    /* What is in flight is completed all the same, once. */
    for (i = 0; i < 2; i++) {
        reknock_call *user_data;
        completion = next_completion(queue);
        user_data = (reknock_call *)completion.user_data;
        CHECK((user_data == &call || user_data == &read) && completion.call == *user_data);
        CHECK(completion.status == REKNOCK_ERROR_CLOSED && completion.response == NULL);
        *user_data = 0;
        reknock_error_free(completion.error);
    }
    CHECK(reknock_queue_next(queue, &completion) == REKNOCK_EMPTY && reknock_queue_pending(queue) == 0);
    /* Everything later fails. */
    CHECK(reknock_client_send(client, fine, NULL, &response, NULL) == REKNOCK_ERROR_CLOSED && response == NULL);
    CHECK(reknock_client_stream(client, fine, NULL, &response, NULL) == REKNOCK_ERROR_CLOSED && response == NULL);
    CHECK(reknock_client_submit(client, fine, NULL, queue, NULL, NULL, NULL) == REKNOCK_ERROR_CLOSED);
    CHECK(reknock_response_submit_read(streamed, queue, NULL, NULL, NULL) == REKNOCK_ERROR_CLOSED);
    /* What had arrived of a body can still be read. */
    do {
        status = reknock_response_read(streamed, buffer, sizeof buffer, &count, NULL);
    } while (status == REKNOCK_OK && count > 0);
    CHECK(status == REKNOCK_ERROR_CLOSED);
    /* What a read had is gone with it. */
    CHECK(reknock_response_read(stalled, buffer, sizeof buffer, &count, NULL) == REKNOCK_ERROR_CLOSED);
    reknock_response_free(stalled);
    /* What needs no thread works on, and everything can be freed. */
    CHECK(reknock_response_status(streamed) == 200);
    reknock_response_free(streamed);
    reknock_queue_free(queue);
    reknock_request_free(stalls);
    reknock_request_free(slow);
    reknock_request_free(fine);
    reknock_client_free(client);
    return 0;
}
