import ballerina/http;

final http:Client backend = check new ("localhost:8080",
    retryConfig = {
        // Initial retry interval in seconds.
        interval: 3,
        // Sends after the first.
        count: 3,
        backOffFactor: 2.0,
        maxWaitInterval: 20
    },
    timeout = 2
);
