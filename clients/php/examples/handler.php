<?php

/**
 * The target of a job that takes long: it answers at once, goes on, and says how far it is and how it ended.
 *
 *     php -S 127.0.0.1:8080 handler.php
 *     curl -d '{"command": {"type": "http", "url": "http://127.0.0.1:8080/", "json": {"mails": 30}}}' \
 *         http://127.0.0.1:1337/jobs/add
 */

declare(strict_types=1);

require_once __DIR__ . '/../QueueServer.php';

use QueueServer\Client;
use QueueServer\Handler;

$job = Handler::fromRequest(new Client(getenv('QUEUE_SERVER_URL') ?: 'http://127.0.0.1:1337', retries: 8));
$order = json_decode((string) file_get_contents('php://input'), true); // read it before the answer

$job->run(function (Handler $job) use ($order): ?string {
    for ($sent = 0; $sent < $order['mails']; $sent++) {
        if (!$job->heartbeat(message: "$sent of {$order['mails']}")) {
            return null; // somebody has cancelled the job
        }
        usleep(10_000); // here a mail is sent
    }

    return "$sent mails are sent";
});
