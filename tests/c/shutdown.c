/* shutdown FINE SLOW: what is left after reknock_shutdown. FINE answers with a large body, SLOW never. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

int main(int argc, char **argv) {
    reknock_client *client = new_client("{}");
    reknock_request *fine, *slow;
    reknock_queue *queue = NULL;
    reknock_response *response = NULL, *streamed = NULL;
    reknock_completion completion;
    reknock_call call = 0;
    uint8_t buffer[100];
    size_t count;
    reknock_status status;
    CHECK(argc == 3);
    fine = new_request("GET", argv[1]);
    slow = new_request("GET", argv[2]);
    OK(reknock_queue_new(&queue, error));
    OK(reknock_client_submit_stream(client, fine, NULL, queue, NULL, NULL, error));
    streamed = next_completion(queue).response;
    OK(reknock_response_read(streamed, buffer, sizeof buffer, &count, error));
    OK(reknock_client_submit(client, slow, NULL, queue, &call, &call, error));

    reknock_shutdown();
    reknock_shutdown();
    /* The call in flight is completed all the same, once. */
    completion = next_completion(queue);
    CHECK(completion.call == call && completion.user_data == &call && completion.status == REKNOCK_ERROR_CLOSED);
    reknock_error_free(completion.error);
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
    /* What needs no thread works on, and everything can be freed. */
    CHECK(reknock_response_status(streamed) == 200);
    reknock_response_free(streamed);
    reknock_queue_free(queue);
    reknock_request_free(slow);
    reknock_request_free(fine);
    reknock_client_free(client);
    return 0;
}
