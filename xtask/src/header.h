/*
 * reknock: an HTTP client that retries, and tells what it did.
 *
 *     reknock_client *client = NULL;
 *     reknock_request *request = NULL;
 *     reknock_response *response = NULL;
 *     reknock_error *error = NULL;
 *
 *     if (reknock_client_new(NULL, &client, &error) == REKNOCK_OK &&
 *         reknock_request_new("GET", "http://127.0.0.1:8080/", &request, &error) == REKNOCK_OK &&
 *         reknock_client_send(client, request, NULL, &response, &error) == REKNOCK_OK) {
 *         printf("%d\n%s", reknock_response_status(response), reknock_response_explain(response));
 *     } else {
 *         printf("%s\n%s", reknock_error_message(error), reknock_error_explain(error));
 *     }
 *     reknock_response_free(response);
 *     reknock_request_free(request);
 *     reknock_client_free(client);
 *     reknock_error_free(error);
 *
 * Rules for all functions
 *
 * - Results. A function that can fail returns a reknock_status. On success it writes its outputs, on failure its error, and
 *   never both. Every output but the error must not be NULL unless it says so.
 * - Ownership. What a function puts in `*out` or `*error` belongs to the caller, who frees it with the _free of its type, once.
 *   What a function returns as a const pointer belongs to the object it was asked of. Arguments are borrowed until the function
 *   returns.
 * - NULL. Handles and texts must not be NULL unless a function says so: it then returns REKNOCK_ERROR_INVALID_ARGUMENT. Each _free
 *   takes NULL. Functions that read a handle give 0, NULL or "" for NULL, as they say.
 * - Texts are UTF-8. Those that go in are NUL-terminated, or counted where a function ends in _n. Those that come out are
 *   NUL-terminated and have no NUL inside; bodies are counted bytes. Values of header fields of a response are bytes as they came, and need not be
 *   UTF-8: reknock_response_header_bytes counts them.
 * - Units are in the names: _ms milliseconds, _us microseconds, _ns nanoseconds.
 * - Structs that the caller fills in begin with struct_size, which is their sizeof; zero means the default. A library takes the structs of
 *   its own version and of earlier ones of its ABI; any other size is refused, since nothing tells what is behind it.
 * - Threads. Each type says who may use it at once; its functions may be called from any thread. The library never handles signals,
 *   and starts one thread, when something is first submitted to a queue; threads that resolve names and read files end by themselves.
 *   A thread that is cancelled (pthread_cancel) within a function of the library ends after it: cancel the call to have it return.
 * - Signals. A server that goes away is an error of the call and never a SIGPIPE, ignored or not; handlers of the program run on none of
 *   the library's threads, but for those of faults and SIGPROF; the masks and handlers of the program's threads stay as they are.
 * - Functions of the program that the library calls must return: no longjmp, no C++ exception, no pthread_exit. They may call the library.
 * - After fork the child may use inherited policies, requests and clients; inherited queues, calls and streamed responses belong to
 *   the parent.
 *
 * This file is generated from bindings/c: make gen.
 */
